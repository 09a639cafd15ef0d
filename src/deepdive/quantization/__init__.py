"""From a PyTorch network to its integer network: trace, fuse, quantize, lower."""

from deepdive.quantization.calibrate import Calibration, calibrate
from deepdive.quantization.lower import Facts, lower
from deepdive.quantization.modules import Bits
from deepdive.quantization.prepare import QuantizedModel, prepare
from deepdive.quantization.qconfig import QConfig
from deepdive.quantization.quantize import QuantizeOptions, quantize
from deepdive.quantization.ranges import RangeMethod
from deepdive.quantization.synthesize import Synthetic, synthesize

__all__ = [
    "Bits",
    "Calibration",
    "Facts",
    "QConfig",
    "QuantizeOptions",
    "QuantizedModel",
    "RangeMethod",
    "Synthetic",
    "calibrate",
    "lower",
    "prepare",
    "quantize",
    "synthesize",
]
