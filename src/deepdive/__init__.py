"""DeepDive: from a depthwise-separable CNN in PyTorch to a verified FPGA accelerator.

>>> net = deepdive.quantize(model, images, weights=8, activations=8)  # nn.Module -> QNet
>>> design = deepdive.compile(net, board="zcu102")
>>> design.write("build/")
>>> deepdive.verify("build/", images).check()
"""

from importlib import import_module
from importlib.metadata import version
from typing import Any

__version__ = version("deepdive-fpga")

# Imported when first used: `import deepdive` stays fast, and the hardware side runs where torch is not installed.
_HOMES = {
    "CheckFailed": "deepdive.errors",
    "DeepDiveError": "deepdive.errors",
    "Budget": "deepdive.api",
    "Design": "deepdive.api",
    "Photographs": "deepdive.qnet.importers",
    "QConfig": "deepdive.quantization",
    "QNet": "deepdive.qnet",
    "UnsupportedLayer": "deepdive.errors",
    "compile": "deepdive.api",
    "import_": "deepdive.api",
    "load": "deepdive.api",
    "lower": "deepdive.quantization",
    "prepare": "deepdive.quantization",
    "quantize": "deepdive.quantization",
    "verify": "deepdive.api",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'deepdive' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
