"""Boards: what a device has, how fast its memory is, what it draws. One TOML file a board; a user's own is one more."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deepdive.errors import DeepDiveError, nearest
from deepdive.hardware.resources import Resources

BOARDS = Path(__file__).parent / "boards"
MAX_FILE_BYTES = 1 << 16


class ExternalMemory(BaseModel):
    """The board's DRAM as the programmable logic sees it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bandwidth_gb_s: float = Field(gt=0)
    """Peak of the DRAM in 10**9 bytes a second."""
    efficiency: float = Field(default=0.7, gt=0, le=1)
    """Share of the peak that long bursts get beside the processor's own traffic."""
    ports: int = Field(ge=1)
    """AXI ports from logic to memory."""
    port_bits: int = Field(ge=8)
    """Bits that a port moves a clock cycle."""

    @property
    def bytes_per_second(self) -> float:
        """What the logic may count on."""
        return self.bandwidth_gb_s * 1e9 * self.efficiency


class PowerFloor(BaseModel):
    """What is drawn before the accelerator does anything, in W."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pl_static_w: float = Field(ge=0)
    """Leakage of the programmable logic at 25-50 degrees."""
    ps_w: float = Field(ge=0)
    """Processing system with Linux, and its DRAM."""
    process_factor: float = Field(default=1.0, gt=0)
    """Dynamic energy against 16 nm UltraScale+ at 0.85 V."""


class Board(BaseModel):
    """A board and its device, as a TOML file describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)
    title: str = Field(min_length=1, max_length=80)
    part: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)
    """Full name of the device for Vivado and Vitis HLS."""
    board_part: str = Field(default="", pattern=r"^([a-z0-9._-]+:[a-z0-9._-]+:[a-z0-9]+)?$", max_length=80)
    """Vivado's name of the board, without a version: what presets the processor's memory and pins. May be empty."""
    clock_mhz: float = Field(gt=0)
    """Default clock of the accelerator."""
    max_clock_mhz: float = Field(gt=0)
    """Above it a compile is refused: block RAM and DSP limits of the speed grade, with some margin."""
    dsp_bits: int = Field(default=27, ge=18, le=27)
    """Bits of the wider operand of a DSP: 27 of a DSP48E2, 25 of a DSP48E1."""
    resources: Resources
    memory: ExternalMemory
    power: PowerFloor

    @model_validator(mode="after")
    def _clock(self) -> Board:
        if self.clock_mhz > self.max_clock_mhz:
            raise ValueError(f"clock_mhz {self.clock_mhz:g} is above max_clock_mhz {self.max_clock_mhz:g}")
        if not (self.resources.lut and self.resources.ff):
            raise ValueError("resources.lut and resources.ff must be positive")
        return self


def board_names() -> list[str]:
    """Names of the boards that come with the package."""
    return sorted(path.stem for path in BOARDS.glob("*.toml"))


def load_board(board: str | Path) -> Board:
    """A board of the package by name, or a user's own by the path of its TOML file.

    Raises
    ------
    DeepDiveError
        Unknown name (with the nearest one), no such file, no TOML, or a value that no board can have.
    """
    text = str(board)
    path = Path(text)
    if isinstance(board, str) and text in board_names():
        path = BOARDS / f"{text}.toml"
    elif path.suffix != ".toml" and "/" not in text:
        raise DeepDiveError(f"Unknown board '{text}'{nearest(text, board_names())}; or name your own .toml file.")
    return read_board(path)


def read_board(path: Path) -> Board:
    """Read and check one board file."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise DeepDiveError(f"Cannot read board file '{path}': {(error.strerror or str(error)).lower()}.") from None
    if len(data) > MAX_FILE_BYTES:
        raise DeepDiveError(f"'{path}' is larger than {MAX_FILE_BYTES} bytes; that is no board file.")
    try:
        return Board.model_validate(tomllib.loads(data.decode("utf-8")))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DeepDiveError(f"Board file '{path}' is no TOML ({error}).") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DeepDiveError(f"Board file '{path}': {where}: {first['msg']} (got {first['input']!r:.60}).") from None
