"""Recipes: TOML, flags, and what is refused; metrics in TensorBoard's format."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from deepdive.errors import DeepDiveError
from deepdive.training import Augment, Optimizer, Recipe, Schedule, parse_setting, read_recipe
from deepdive.training.tensorboard import FILE_NAME, masked_crc, write_events

RECIPES = sorted((Path(__file__).resolve().parents[2] / "recipes").glob("*.toml"))


def test_defaults_are_a_recipe() -> None:
    assert read_recipe() == Recipe()


def test_toml_and_flags(tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_text("epochs = 3\n[optimizer]\nlearning_rate = 0.5\n[augment]\nflip = true\n")
    recipe = read_recipe(file, {"epochs": None, "optimizer.momentum": 0.5, "schedule.decay": "cosine"})
    assert recipe == Recipe(
        epochs=3,
        optimizer=Optimizer(learning_rate=0.5, momentum=0.5),
        schedule=Schedule(decay="cosine"),
        augment=Augment(flip=True),
    )


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_that_come_along_are_valid(path: Path) -> None:
    assert read_recipe(path).epochs >= 1


def test_there_are_recipes() -> None:
    assert RECIPES


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochs = 0", r"r.toml': epochs = 0: input should be greater than or equal to 1\.$"),
        ("[optimizer]\nlearning_rate = -1", r"optimizer.learning_rate = -1: input should be greater than 0\.$"),
        ("[optimizer]\nlr = 1", r"optimizer.lr = 1: extra inputs are not permitted\.$"),
        ("epochs = ", r"Cannot read the recipe '.*' \(Invalid value"),
        ("[augment]\nshift = 'far'", "augment.shift = 'far': input should be a valid integer"),
    ],
)
def test_bad_recipes_are_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(DeepDiveError, match=words):
        read_recipe(tmp_path / "r.toml")


def test_bad_flags_are_refused_by_name() -> None:
    with pytest.raises(
        DeepDiveError, match=r"^The recipe: batch_size = 1: input should be greater than or equal to 2\.$"
    ):
        read_recipe(None, {"batch_size": 1})
    with pytest.raises(DeepDiveError, match=r"^There is no recipe 'nowhere.toml'; name a TOML file\.$"):
        read_recipe("nowhere.toml")


def test_settings_from_the_command_line() -> None:
    texts = ("augment.flip=true", "optimizer.momentum=0.5", "schedule.decay=cosine", "epochs=7")
    recipe = read_recipe(None, dict(parse_setting(text) for text in texts))
    assert recipe == Recipe(
        epochs=7,
        augment=Augment(flip=True),
        optimizer=Optimizer(momentum=0.5),
        schedule=Schedule(decay="cosine"),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochs", r"'epochs' sets nothing; write NAME=VALUE"),
        ("speed=9", r"^The recipe: speed = 9: extra inputs are not permitted\.$"),
        ("augment.flip=perhaps", r"^The recipe: augment.flip = 'perhaps': input should be a valid boolean"),
    ],
)
def test_bad_settings_are_refused(text: str, words: str) -> None:
    with pytest.raises(DeepDiveError, match=words):
        read_recipe(None, dict([parse_setting(text)]))


def test_a_single_value_has_no_parts() -> None:
    with pytest.raises(DeepDiveError, match=r"^The recipe has no 'epochs.few'; 'epochs' is a single value\.$"):
        read_recipe(None, {"epochs": 3, "epochs.few": 1})


def test_crc_is_castagnolis() -> None:
    # RFC 3720, B.4: 32 bytes of zeros have the CRC-32C aa 36 91 8a, least significant byte first.
    crc = 0x8A9136AA
    assert masked_crc(bytes(32)) == (((crc >> 15) | (crc << 17) & 0xFFFFFFFF) + 0xA282EAD8) % 2**32


def test_event_file_is_what_tensorboard_reads(tmp_path: Path) -> None:
    rows = [{"epoch": 1, "step": 300, "time": 5.0, "loss": 0.5}, {"epoch": 2, "step": 600, "time": 6.5, "loss": 0.25}]
    write_events(tmp_path, rows)
    data, records = (tmp_path / FILE_NAME).read_bytes(), []
    while data:
        (length,) = struct.unpack_from("<Q", data)
        body = data[12 : 12 + length]
        assert struct.unpack_from("<I", data, 8) == (masked_crc(data[:8]),)
        assert struct.unpack_from("<I", data, 12 + length) == (masked_crc(body),)
        records.append(body)
        data = data[16 + length :]
    assert records[0] == b"\x09" + struct.pack("<d", 5.0) + b"\x1a\x0dbrain.Event:2"
    value = b"\x0a\x04loss\x15" + struct.pack("<f", 0.25)
    summary = b"\x0a" + bytes([len(value)]) + value
    assert records[2] == b"\x09" + struct.pack("<d", 6.5) + b"\x10\xd8\x04" + b"\x2a" + bytes([len(summary)]) + summary
