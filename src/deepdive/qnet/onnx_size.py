"""How much of a model file is structure, found without decoding it.

A decoded protobuf message takes up to a hundred times the memory of its bytes, so a small hostile file could fill the
memory before anything is checked. Weights (`raw_data` of initializers) are not multiplied; the rest is bounded here.
"""

from __future__ import annotations

from collections.abc import Iterator

from deepdive.errors import DeepDiveError

MAX_STRUCTURE_BYTES = 4 << 20
MAX_FIELDS = 1 << 19
GRAPH, INITIALIZER, RAW_DATA = 7, 5, 9  # field numbers of ModelProto, GraphProto and TensorProto in onnx.proto
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # protobuf wire types
FIXED_BYTES = {FIXED64: 8, FIXED32: 4}


def check_structure(data: bytes) -> None:
    """Refuse what is no protobuf message, or holds more than 4 MiB that are not weights."""
    scan = Scan(data)
    structure = len(data)
    for graph in scan.members(0, len(data), GRAPH):
        for initializer in scan.members(*graph, INITIALIZER):
            for start, end in scan.members(*initializer, RAW_DATA):
                structure -= end - start
    if structure > MAX_STRUCTURE_BYTES:
        raise too_much_structure()


class Scan:
    """Walks over the fields of a message, and over no more of them than takes a second."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.fields = 0

    def members(self, start: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
        """Start and end of each length-delimited field number `wanted` of the message in ``data[start:end]``."""
        position = start
        while position < end:
            self.fields += 1
            if self.fields > MAX_FIELDS:
                raise too_much_structure()
            key, position = self.varint(position, end)
            field, wire = key >> 3, key & 7
            if wire == VARINT:
                _, position = self.varint(position, end)
            elif wire == BYTES:
                length, position = self.varint(position, end)
                if field == wanted and position + length <= end:
                    yield position, position + length
                position += length
            elif wire in FIXED_BYTES:
                position += FIXED_BYTES[wire]
            else:
                raise not_a_message()
        if position != end:
            raise not_a_message()

    def varint(self, position: int, end: int) -> tuple[int, int]:
        """A base-128 number and the position after it."""
        value = 0
        for index in range(10):
            if position + index >= end:
                break
            byte = self.data[position + index]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value, position + index + 1
        raise not_a_message()


def not_a_message() -> DeepDiveError:
    return DeepDiveError("it is no ONNX model, or cut short or damaged; write it anew")


def too_much_structure() -> DeepDiveError:
    return DeepDiveError(
        f"it holds more than {MAX_STRUCTURE_BYTES} bytes that are not weights; it is no DeepDive network"
    )
