"""Mutants of sound files: bytes flipped, cut and pasted, and fields of the decoded message changed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

NUMBERS = [-(2**63), -(2**31), -1, 0, 1, 2, 3, 7, 8, 9, 64, 255, 256, 2**31, 2**40, 2**63 - 1]
REALS = [0.0, -1.0, 0.25, 1e-40, 1e38, float("nan"), float("inf"), float("-inf")]
STRINGS = ["", "x", "y", "NOTSET", "SAME_UPPER", "FLOOR", "ROUND", "\u202e", "a\nb", "x" * 2000, "Conv", "Add", "Mul"]
BYTES = [b"", b"\0", b"\xff" * 4, b"nan", b"\0\0\xc0\x7f", b"\0\0\x80\x7f"]


def mutant(data: bytes, rng: random.Random) -> bytes:
    """One mutant of a file."""
    kind = rng.randrange(10)
    if kind < 3:
        return with_flips(data, rng)
    if kind < 4:
        return with_paste(data, rng)
    return with_fields(data, rng) if kind < 6 else with_meaning(data, rng)


def with_flips(data: bytes, rng: random.Random) -> bytes:
    """One to four bytes changed."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(changed))] ^= rng.randint(1, 255)
    return bytes(changed)


def with_paste(data: bytes, rng: random.Random) -> bytes:
    """A piece cut out, another put in, or the end cut off."""
    start, length = rng.randrange(len(data)), rng.randrange(200)
    other = rng.randrange(len(data))
    piece = rng.choice([b"", data[other : other + rng.randrange(200)], rng.randbytes(rng.randrange(20))])
    return data[:start] if rng.random() < 0.1 else data[:start] + piece + data[start + length :]


def with_meaning(data: bytes, rng: random.Random) -> bytes:
    """One to three changes that leave a model a model: another operator, wire, attribute, number or shape."""
    model = onnx.ModelProto.FromString(data)
    graph = model.graph
    for _ in range(rng.randint(1, 3)):
        node = rng.choice(graph.node)
        what = rng.choice(["operator", "wire", "attribute", "attribute", "number", "number", "reshape", "input"])
        if what == "operator":
            node.op_type = rng.choice(graph.node).op_type
        elif what == "wire" and node.input:
            names = [name for other in graph.node for name in (*other.input, *other.output)]
            node.input[rng.randrange(len(node.input))] = rng.choice(names)
        elif what == "attribute" and node.attribute:
            found = rng.choice(node.attribute)
            found.i = rng.choice(NUMBERS)
            found.f = rng.choice(REALS)
            for i in range(len(found.ints)):
                found.ints[i] = rng.choice([found.ints[i], rng.choice(NUMBERS)])
        elif what in ("number", "reshape") and graph.initializer:
            tensor = rng.choice(graph.initializer)
            array = numpy_helper.to_array(tensor).copy()
            if what == "number" and array.size:
                value = rng.choice(REALS) if array.dtype.kind == "f" else rng.choice([-128, -1, 0, 1, 7, 127])
                array.reshape(-1)[rng.randrange(array.size)] = np.array(value).astype(array.dtype)
            else:
                array = array.reshape(rng.choice([(-1,), (1, -1), array.shape[::-1], (*array.shape, 1)]))
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        elif what == "input":
            dim = rng.choice(graph.input[0].type.tensor_type.shape.dim)
            dim.dim_value = rng.choice([0, 1, 2, 5, 7, 33, 1000, 4096, 1 << 20])
    return model.SerializeToString()


def messages(message: Any) -> Iterator[Any]:
    """A protobuf message and all within it."""
    yield message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for part in value if field.is_repeated else [value]:
                yield from messages(part)


def with_fields(data: bytes, rng: random.Random) -> bytes:
    """One to three fields of the decoded model removed, overwritten, repeated or moved."""
    model = onnx.ModelProto.FromString(data)
    for _ in range(rng.randint(1, 3)):
        part = rng.choice([part for part in messages(model) if part.ListFields()])
        field, value = rng.choice(part.ListFields())
        with suppress(ValueError, TypeError):  # beyond the field's own range
            change(part, field, value, rng)
    return model.SerializeToString()


def change(part: Any, field: Any, value: Any, rng: random.Random) -> None:
    """One field of one message."""
    action = rng.choice(["clear", "overwrite", "overwrite", "swap", "repeat", "move"])
    if action == "clear":
        part.ClearField(field.name)
    elif field.cpp_type == field.CPPTYPE_MESSAGE:
        if field.is_repeated and action == "repeat":
            value.append(value[rng.randrange(len(value))])
        elif field.is_repeated:
            value.append(value.pop(rng.randrange(len(value))))
    else:
        drawn = new_value(field, value, rng, swap=action == "swap")
        if field.is_repeated:
            value[rng.randrange(len(value))] = drawn
        else:
            setattr(part, field.name, drawn)


def new_value(field: Any, value: Any, rng: random.Random, *, swap: bool) -> Any:
    """Something of the field's type; with `swap`, something near what is there."""
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return rng.choice(REALS)
    if field.cpp_type == field.CPPTYPE_STRING:
        if field.type == field.TYPE_BYTES:
            return with_flips(value, rng) if swap and isinstance(value, bytes) and value else rng.choice(BYTES)
        return rng.choice(STRINGS)
    return (value + rng.choice([-1, 1])) if swap and isinstance(value, int) else rng.choice(NUMBERS)
