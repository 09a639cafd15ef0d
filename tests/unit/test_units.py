"""A unit checks its streams, and adds its stages up."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from deepdive.hardware.resources import Resources
from deepdive.hardware.stages import Dense, Fork, Requantizer, ResidualAdd, Stage
from deepdive.hardware.stream import Stream
from deepdive.hardware.units import Unit


def stream(name: str, depth: int = 2) -> Stream:
    return Stream(name=name, height=4, width=4, channels=8, lanes=4, bits=8, depth=depth)


def dense(name: str, source: Stream, target: Stream) -> Dense:
    how = Requantizer(acc_bits=20, mult_bits=16)
    return Dense(
        kind="pointwise",
        name=name,
        node=f"net.{name}",
        input=source,
        output=target,
        out_parallel=4,
        weight_bits=8,
        requantizer=how,
    )


def residual() -> list[Stage]:
    x, main, skip, y, z = stream("x"), stream("main"), stream("skip", 40), stream("y"), stream("z")
    return [
        Fork(name="fork", input=x, output_a=main, output_b=skip),
        dense("dense", main, y),
        ResidualAdd(name="add", node="net.add", input_a=skip, input_b=y, output=z),
    ]


def unit(stages: list[Stage], **changes: Any) -> Unit:
    fields: dict[str, Any] = {
        "name": "body1",
        "kind": "body",
        "input_map": "image",
        "blocks": ("net.dense", "net.add"),
        "stages": stages,
    }
    return Unit(**(fields | changes))


def test_sums_and_ends() -> None:
    made = unit(residual())
    assert (made.input.name, made.output.name, made.output_map) == ("x", "z", "net.add")
    assert [s.name for s in made.streams] == ["main", "skip", "y", "z"]
    assert made.interval_cycles == 16 * 2 * 2 == made.bottleneck.interval_cycles
    assert made.bottleneck.name == "dense"
    assert (made.macs, made.multipliers, made.weight_bits_total) == (16 * 64, 16, 512)
    parts = [stage.resources() for stage in made.stages] + [s.resources for s in made.streams]
    assert made.resources == sum(parts, Resources())
    assert Unit.model_validate_json(made.model_dump_json()) == made


def test_refuses_two_readers() -> None:
    fork, main, add = residual()
    with pytest.raises(ValidationError, match="stream 'main' has two readers; put a fork between"):
        unit([fork, main, dense("again", stream("main"), stream("w")), add])


def test_refuses_two_writers() -> None:
    fork, main, add = residual()
    with pytest.raises(ValidationError, match="stream 'y' has two writers"):
        unit([fork, main, dense("again", stream("w"), stream("y")), add])


def test_refuses_a_stream_that_differs_at_its_ends() -> None:
    fork, _, add = residual()
    with pytest.raises(ValidationError, match="stream 'main' differs between its writer and its reader"):
        unit([fork, dense("dense", stream("main", 3), stream("y")), add])


def test_refuses_stages_out_of_order() -> None:
    fork, main, add = residual()
    with pytest.raises(ValidationError, match="stream 'main' is read before it is written"):
        unit([main, fork, add])


def test_refuses_loose_ends() -> None:
    with pytest.raises(ValidationError, match=r"has inputs \['x'\] and outputs \['skip', 'y'\]; want one of each"):
        unit(residual()[:2], blocks=("net.dense",))


def test_refuses_blocks_that_it_does_not_compute() -> None:
    with pytest.raises(ValidationError, match=r"computes \['net.add', 'net.dense'\] but lists \['net.dense'\]"):
        unit(residual(), blocks=("net.dense",))


def test_refuses_two_stages_of_one_name() -> None:
    fork, main, add = residual()
    with pytest.raises(ValidationError, match=r"stages \['fork'\] appear more than once"):
        unit([fork, main, add.model_copy(update={"name": "fork"})])
