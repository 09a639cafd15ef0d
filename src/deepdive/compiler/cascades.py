"""Multipliers as instances of the board's DSPs, which sum their products themselves: all that a design has, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deepdive.compiler.plan import DENSE, Operation, UnitPlan

MULTIPLYING = (*DENSE, "depthwise")
"""Operations with columns of multipliers."""


def cascaded(plans: Sequence[UnitPlan]) -> tuple[UnitPlan, ...]:
    """The plans with instances wherever products are made in DSPs; one with finished stages keeps those."""

    def summing(operation: Operation) -> Operation:
        if operation.kind not in MULTIPLYING:
            return operation
        return replace(operation, fields={**operation.fields, "cascade": True})

    return tuple(replace(plan, operations=tuple(map(summing, plan.operations))) for plan in plans)
