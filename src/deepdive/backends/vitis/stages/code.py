"""What the C++ of a stage consists of: the parameters of its template, its ROMs, its call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from deepdive.backends.vitis.rom import Rom
from deepdive.hardware.stages import AnyStage, Requantizer, Stage
from deepdive.hardware.stream import Stream
from deepdive.qnet import FeatureMap, Node, QNet, Requantize


@dataclass(frozen=True, eq=False)
class Constant:
    """A parameter of a stage's template: ``static constexpr type name = value``."""

    type: str
    name: str
    value: str


@dataclass(frozen=True, eq=False)
class ExternalWeights:
    """Weights that a stage reads from memory while it runs.

    Parameters
    ----------
    name
        Of the stage; the port and the file are named after it.
    bytes
        uint8 (words, bytes of a word).
    passes
        How often a frame reads them all.
    """

    name: str
    bytes: np.ndarray
    passes: int


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
    """

    template: str
    name: str
    beats: tuple[tuple[str, str], ...]
    constants: tuple[Constant, ...]
    streams: tuple[str, ...]
    roms: tuple[Rom, ...] = ()
    external: ExternalWeights | None = None


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
        flag("half_up", how.rounding == "half_up"),
    )


def node_of(net: QNet, name: str) -> tuple[Node, tuple[FeatureMap, ...]]:
    """A node by name and what it reads."""
    node = next(node for node in net.nodes if node.name == name)
    return node, net.inputs_of(node)


@singledispatch
def emit(stage: object, net: QNet) -> StageCode:
    raise NotImplementedError(type(stage).__name__)
