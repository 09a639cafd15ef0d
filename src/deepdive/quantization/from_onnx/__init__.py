"""Float ONNX files as PyTorch modules, quantized like any other."""

from deepdive.quantization.from_onnx.convert import FloatNetwork, convert
from deepdive.quantization.from_onnx.quantize_file import Options, import_float, read_float

__all__ = ["FloatNetwork", "Options", "convert", "import_float", "read_float"]
