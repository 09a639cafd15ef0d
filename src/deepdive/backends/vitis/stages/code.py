"""What the C++ of a stage consists of: the parameters of its template, its ROMs, its call."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import singledispatch
from typing import TYPE_CHECKING

import numpy as np

from deepdive.backends.vitis.rom import FACTOR_BITS, Rom, drop_bits
from deepdive.hardware.stages import AnyStage, ChannelScale, GlobalAveragePool, Requantizer, Stage
from deepdive.hardware.stream import Stream
from deepdive.qnet import FeatureMap, Node, QNet, Requantize

if TYPE_CHECKING:
    from deepdive.backends.vitis.stages.shared_body import SharedCode


@dataclass(frozen=True, eq=False)
class Constant:
    """A parameter of a stage's template: ``static constexpr type name = value``."""

    type: str
    name: str
    value: str


MEMORY_WORD_BYTES = 16
"""As in ``deepdive/external_weights.h``."""

MEMORY_WORD = "deepdive::memory_word"


@dataclass(frozen=True, eq=False)
class Buffer:
    """External memory that a unit reads or writes while it runs.

    Parameters
    ----------
    name
        Unique in the unit; its file is named after it.
    element, word_bytes
        C++ type of a word, and its size.
    words
        How many there are.
    image
        What it holds from the beginning, uint8 (words, bytes); None for one that the unit writes before it reads.
    """

    name: str
    element: str
    word_bytes: int
    words: int
    image: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class MemoryPort:
    """A pointer of a unit; ports of one bundle share an AXI master, one of them reading, one writing."""

    name: str
    bundle: str
    buffer: Buffer
    const: bool = True

    @property
    def type(self) -> str:
        """C++ type."""
        return f"{'const ' if self.const else ''}{self.buffer.element}*"


@dataclass(frozen=True, eq=False)
class ExternalWeights:
    """Weights that a stage reads from memory while it runs.

    Parameters
    ----------
    bytes
        uint8 (words, bytes of a word).
    passes
        How often a frame reads them all.
    """

    bytes: np.ndarray
    passes: int

    def port(self, stage: str) -> MemoryPort:
        """Where they come from: each weight word starts on a memory word."""
        image = np.pad(self.bytes, ((0, 0), (0, -self.bytes.shape[1] % MEMORY_WORD_BYTES)))
        image = image.reshape(-1, MEMORY_WORD_BYTES)
        return MemoryPort(
            f"{stage}_weights", f"{stage}_weights", Buffer(stage, MEMORY_WORD, MEMORY_WORD_BYTES, len(image), image)
        )


@dataclass(frozen=True, eq=False)
class StageCode:
    """What a unit's source file says of one stage.

    Parameters
    ----------
    template
        The header and the function: ``deepdive/window.h``, ``deepdive::window``.
    name
        Of the stage; what belongs to it starts with it.
    beats
        C++ names of the template's stream types, and their types.
    constants
        The other parameters.
    streams
        Names of the streams read and written, in the order of the call.
    shared
        What the header of a shared body says; such a stage has no template and no parameters here.
    """

    template: str
    name: str
    beats: tuple[tuple[str, str], ...]
    constants: tuple[Constant, ...]
    streams: tuple[str, ...]
    roms: tuple[Rom, ...] = ()
    external: ExternalWeights | None = None
    ports: tuple[MemoryPort, ...] = ()
    shared: SharedCode | None = None

    @property
    def function(self) -> str:
        """What a unit calls."""
        return self.name if self.shared else f"deepdive::{self.template}<{self.name}_spec>"


def beat_type(stream: Stream) -> str:
    """C++ type of a beat."""
    element = "ap_int" if stream.signed else "ap_uint"
    return f"deepdive::beat<{element}<{stream.bits}>, {stream.taps * stream.lanes}>"


def stage_code(stage: AnyStage, net: QNet) -> StageCode:
    """The C++ of one stage; its numbers come from the network's node."""
    return emit(stage, net)


def code_of(
    stage: Stage,
    template: str,
    constants: tuple[Constant, ...],
    roms: tuple[Rom, ...] = (),
    external: ExternalWeights | None = None,
) -> StageCode:
    """The C++ of a stage whose template takes its ports by their names, in their order."""
    ports = [(name, stream) for name, stream in stage if isinstance(stream, Stream)]
    return StageCode(
        template=template,
        name=stage.name,
        beats=tuple((name, beat_type(stream)) for name, stream in ports),
        constants=constants,
        streams=tuple(stream.name for _, stream in ports),
        roms=roms,
        external=external,
        ports=(external.port(stage.name),) if external else (),
    )


def integers(**values: int) -> tuple[Constant, ...]:
    """Constants of type int."""
    return tuple(Constant("int", name, str(value)) for name, value in values.items())


def flag(name: str, value: bool) -> Constant:
    """A constant of type bool."""
    return Constant("bool", name, "true" if value else "false")


def array(type_: str, name: str, values: Iterable[int]) -> Constant:
    """A constant array."""
    texts = [str(value) for value in values]
    return Constant(type_, f"{name}[{len(texts)}]", f"{{{', '.join(texts)}}}")


def requantization(how: Requantize, requantizer: Requantizer, output: FeatureMap) -> tuple[Constant, ...]:
    """What `requantize` in ``deepdive/requantize.h`` asks of a stage's parameters."""
    return (
        *integers(
            acc_bits=requantizer.acc_bits,
            zero_point=output.uniform_zero_point,
            q_min=how.q_min,
            q_max=how.q_max,
        ),
        flag("half_up", how.rounding != "floor"),
        *((flag("half_even", True),) if how.rounding == "half_even" else ()),
    )


def frame_scale(stage: ChannelScale | GlobalAveragePool, how: Requantize, output: FeatureMap) -> tuple[Constant, ...]:
    """Sizes, and the one mult and shift of all channels."""
    return (
        *integers(
            pixels=stage.input.height * stage.input.width,
            groups=stage.input.groups,
            least_groups=stage.input.groups,
            **one_mult(how, stage.requantizer),
        ),
        *requantization(how, stage.requantizer, output),
    )


def one_mult(how: Requantize, requantizer: Requantizer) -> dict[str, int]:
    """The one mult of all channels, and how many bits of a product they drop before rounding."""
    product_bits = requantizer.acc_bits + FACTOR_BITS
    return {"mult": int(how.mult[0]), "drop": int(drop_bits(how.shift[0], how.rounding, product_bits))}


def node_of(net: QNet, name: str) -> tuple[Node, tuple[FeatureMap, ...]]:
    """A node by name and what it reads."""
    node = next(node for node in net.nodes if node.name == name)
    return node, net.inputs_of(node)


def printable(name: str) -> str:
    """A name out of somebody's network, made safe for a C++ comment: one line, letters, digits, dots, dashes."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:100]


@singledispatch
def emit(stage: object, net: QNet) -> StageCode:
    raise NotImplementedError(type(stage).__name__)
