"""Quantized ONNX files: QDQ as ONNX Runtime and PyTorch write them, QONNX as Brevitas does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from deepdive.errors import DeepDiveError
from deepdive.qnet.importers.convert import convert
from deepdive.qnet.importers.dialects import QONNX_DOMAINS
from deepdive.qnet.importers.imported import Deviation, FloatFile, Imported
from deepdive.qnet.importers.measure import measure, output_range
from deepdive.qnet.importers.onnx_source import Source, parse_source, without_softmax
from deepdive.qnet.importers.photographs import Photographs
from deepdive.qnet.onnx_file import read_bytes

FLOAT = "float ONNX"
MAX_CODES, MAX_SHARE = 1, 0.01
"""What float scales as integer multiplier and shift are expected to change at most."""


def import_onnx(path: Path, *, keep_bits: bool = False, photographs: Photographs | None = None) -> Imported:
    """An ONNX file as an integer network, compared with ONNX Runtime layer by layer.

    Raises
    ------
    DeepDiveError
        Naming the node and the reason, but not the file.
    """
    try:
        whole = parse_source(read_bytes(path))
    except DecodeError:
        raise DeepDiveError("it is no ONNX model, or cut short or damaged") from None
    kind = dialect(whole)
    if kind == FLOAT:
        raise FloatFile("it is a float network; give pictures with --images to have it quantized")
    source = without_softmax(whole)
    notes = ["The softmax at the end is left out: the largest output stays the largest."] if source is not whole else []
    # Numbers that overflow are found where they would be used, by name.
    with np.errstate(all="ignore"):
        converted = convert(source, lambda x, values: output_range(source, x, values), keep_bits=keep_bits)
        deviation = measure(source, converted)
    net = converted.net
    if photographs:
        net = replace(net, preprocess=photographs.preprocess(net.input))
    return Imported(net, kind, (*notes, *converted.notes, sentence(deviation)), deviation)


def dialect(source: Source) -> str:
    """What the file is called."""
    if any(node.domain in QONNX_DOMAINS for node in source.nodes):
        return "QONNX"
    return "ONNX QDQ" if "QuantizeLinear" in source.operators or source.dtype.kind != "f" else FLOAT


def sentence(deviation: Deviation | None) -> str:
    """The deviation in words."""
    if deviation is None:
        return "The network is too large to be compared with ONNX Runtime here."
    far = deviation.codes > MAX_CODES or deviation.share > MAX_SHARE
    return (
        f"Against ONNX Runtime on {deviation.images} drawn inputs: each layer, given the source's codes, is at most "
        f"{deviation.codes} codes off, in at most {deviation.share:.3%} of its elements (most in '{deviation.layer}'); "
        f"the whole network's output is at most {deviation.output_codes} codes off, its largest value equal in "
        f"{deviation.top1_equal} of {deviation.images}." + (" This is more than rounding should do." if far else "")
    )
