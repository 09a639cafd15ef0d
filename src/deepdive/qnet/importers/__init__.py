"""Networks from elsewhere, as integer networks."""

from __future__ import annotations

from pathlib import Path

from deepdive.errors import DeepDiveError
from deepdive.qnet.importers.imported import Deviation, FloatFile, Imported
from deepdive.qnet.importers.onnx_import import import_onnx
from deepdive.qnet.importers.paper import import_paper
from deepdive.qnet.importers.photographs import Photographs
from deepdive.qnet.onnx_file import printable

__all__ = ["Deviation", "FloatFile", "Imported", "Photographs", "import_network"]


def import_network(
    path: str | Path, *, repair: bool = False, keep_bits: bool = False, photographs: Photographs | None = None
) -> Imported:
    """A network in a format that is not DeepDive's own.

    Parameters
    ----------
    path
        A quantized ONNX file (QDQ or QONNX), or the folder with the parameters of the paper's published MobileNetV2.
    repair
        Mend the known defects of that network.
    keep_bits
        Of an ONNX file: keep the weights' bits, even where biases are then met only roughly.
    photographs
        Of an ONNX file: how photographs become its input.

    Raises
    ------
    FloatFile
        When the file is not quantized: `deepdive.quantization.from_onnx` does that.
    DeepDiveError
        Naming the file, the node and the reason.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return import_paper(path, repair=repair)
        if not path.exists():
            raise DeepDiveError("there is no such file or folder; check the path")
        if repair:
            raise DeepDiveError("only the paper's published network, a folder, is repaired; leave out --repair")
        return import_onnx(path, keep_bits=keep_bits, photographs=photographs)
    except DeepDiveError as error:
        raise type(error)(printable(f"Cannot import '{path}': {str(error).rstrip('.')}.")) from None
