"""Designs whose bodies share multipliers, with drawn foldings: every part there or not, memories inside or outside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import ValidationError

from deepdive.compiler.design import Design
from deepdive.compiler.partition import partition
from deepdive.compiler.plan import UnitPlan
from deepdive.compiler.shared import Sharing, shareable, shared_unit
from deepdive.hardware.boards import Board
from deepdive.hardware.stages import PointwiseFolding, SharedFolding
from deepdive.hardware.stream import Stream
from deepdive.hardware.units import Unit
from deepdive.qnet import QNet
from deepdive.qnet.fingerprint import fingerprint
from foldings import Folder

ATTEMPTS = 1000


def shared_design(
    net: QNet, board: Board, runs: Sequence[tuple[int, Sharing]], *, seed: int = 0, prefix: str = ""
) -> Design:
    """A design that shares units among consecutive blocks and streams all others, folded at random.

    Parameters
    ----------
    runs
        How many of the bodies, from the first on, run on one unit, and how; what is left is streamed.
    """
    plans = partition(net)
    rng = np.random.default_rng(seed)
    units: list[Unit] = []
    waiting = list(runs)
    at = 0
    while at < len(plans):
        stream = units[-1].output if units else None
        if plans[at].kind == "body" and waiting:
            count, how = waiting.pop(0)
            units.append(shared_unit(f"{prefix}{plans[at].name}", plans[at : at + count], how, stream))
            at += count
        else:
            units.append(streamed_unit(plans[at], rng, stream, prefix))
            at += 1
    return design_of(net, board, units)


def drawn_shared_design(net: QNet, board: Board, seed: int, *, prefix: str = "") -> Design:
    """Runs of bodies shared or streamed, as the seed will have it; at least one of them is shared if any can be."""
    plans = partition(net)
    rng = np.random.default_rng(seed)
    units: list[Unit] = []
    first = True
    at = 0
    while at < len(plans):
        stream = units[-1].output if units else None
        end = at
        while end < len(plans) and shareable(plans[end]) and (end == at or rng.random() < 0.7):
            end += 1
        if end > at and (first or rng.random() < 0.7):
            units.append(drawn_shared_unit(f"{prefix}{plans[at].name}", plans[at:end], rng, stream))
            first = False
        else:
            end = max(end, at + 1)
            for plan in plans[at:end]:
                units.append(streamed_unit(plan, rng, units[-1].output if units else None, prefix))
        at = end
    return design_of(net, board, units)


def design_of(net: QNet, board: Board, units: Sequence[Unit]) -> Design:
    return Design(
        network=net.name, fingerprint=fingerprint(net), board=board, clock_mhz=board.clock_mhz, units=tuple(units)
    )


def streamed_unit(plan: UnitPlan, rng: np.random.Generator, stream: Stream | None, prefix: str) -> Unit:
    """A unit of its own for a plan."""
    folder = Folder(rng, {plan.operations[0].inputs[0].name: stream} if stream else {})
    stages = tuple(stage for operation in plan.operations for stage in folder.fold(operation))
    return Unit(
        name=f"{prefix}{plan.name}", kind=plan.kind, input_map=plan.input_map, blocks=plan.blocks, stages=stages
    )


def drawn_shared_unit(name: str, plans: Sequence[UnitPlan], rng: np.random.Generator, stream: Stream | None) -> Unit:
    """The first drawn folding that the blocks can run on."""
    for _ in range(ATTEMPTS):
        try:
            return shared_unit(name, plans, drawn_sharing(rng), stream)
        except ValidationError:
            continue
    raise AssertionError(f"no folding found for {name}")


def drawn_sharing(rng: np.random.Generator) -> Sharing:
    """Lanes of which neighbours divide each other, as often as not; memories anywhere; batches of one to three."""
    pick = lambda *values: int(rng.choice(values))  # noqa: E731
    parts = []
    for _ in range(2):
        lanes = pick(1, 2, 4, 6)
        parts.append(PointwiseFolding(in_lanes=pick(1, 2, 3, 4, 8), out_parallel=lanes * pick(1, 2, 3), lanes=lanes))
    return Sharing(
        folding=SharedFolding(
            expand=parts[0],
            middle_lanes=pick(1, 2, 4, 6),
            project=parts[1],
            memory_lanes=pick(1, 2, 4, 8),
            fabric=bool(rng.integers(2)),
            taps=(None, 2, 5, 9)[pick(0, 1, 2, 3)],
        ),
        maps="external" if rng.random() < 0.6 else "on_chip",
        weights="external" if rng.random() < 0.6 else "on_chip",
        weight_buffers=2 if rng.random() < 0.6 else 1,
        batch=pick(1, 2, 3),
    )
