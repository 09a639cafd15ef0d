"""Writes scalars in the format that TensorBoard reads, so that no one has to install TensorBoard to train.

An event file is a TFRecord file: length (uint64), masked CRC-32C of it, data, masked CRC-32C of the data, all little
endian; the data is a `tensorflow.Event` protocol buffer (tensorboard/compat/proto/event.proto).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from deepdive.files import write_bytes

FILE_NAME = "events.out.tfevents.0.deepdive"


def crc_table() -> tuple[int, ...]:
    """CRC-32C (Castagnoli, reflected polynomial 0x82F63B78) of each byte value."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


CRC_TABLE = crc_table()


def masked_crc(data: bytes) -> int:
    """CRC-32C of `data`, rotated and shifted as TFRecord wants it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def record(data: bytes) -> bytes:
    """One TFRecord."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc(length)) + data + struct.pack("<I", masked_crc(data))


def varint(value: int) -> bytes:
    """A protocol buffer's variable-length integer, 0 or more."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def chunk(field: int, data: bytes) -> bytes:
    """A length-delimited field: a string or a message."""
    return varint(field << 3 | 2) + varint(len(data)) + data


def event(wall_time: float, step: int, scalars: Mapping[str, float]) -> bytes:
    """An Event: wall_time = 1, step = 2, summary = 5 { value = 1 { tag = 1, simple_value = 2 } }."""
    values = b"".join(
        chunk(1, chunk(1, tag.encode()) + b"\x15" + struct.pack("<f", value)) for tag, value in scalars.items()
    )
    return b"\x09" + struct.pack("<d", wall_time) + b"\x10" + varint(step) + chunk(5, values)


def write_events(folder: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write all rows of metrics anew; `step` and `time` (seconds since 1970) place a row, the rest are its scalars."""
    started = rows[0]["time"] if rows else 0.0
    records = [record(b"\x09" + struct.pack("<d", started) + chunk(3, b"brain.Event:2"))]
    for row in rows:
        scalars = {name: value for name, value in row.items() if name not in ("step", "time", "epoch")}
        records.append(record(event(row["time"], int(row["step"]), scalars)))
    write_bytes(folder / FILE_NAME, b"".join(records))
