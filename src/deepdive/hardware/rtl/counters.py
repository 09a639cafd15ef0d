"""Counters over a range, and delays that move with a pipeline."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value

from deepdive.hardware.rtl.limits import Limit


def counter(limit: int, name: str, init: int = 0) -> Signal:
    """A counter that runs over ``0 .. limit - 1``; at least one bit wide."""
    return Signal(range(max(limit, 2)), name=name, init=init)


def next_in(position: Signal, limit: int) -> Value:
    """``position + 1``, or 0 after ``limit - 1``."""
    return next_until(position, limit - 1)


def next_until(position: Signal, last: Limit) -> Value:
    """``position + 1``, or 0 after `last`."""
    return Mux(position == last, 0, position + 1)


def delayed(m: Module, signal: Value, steps: int, enable: Value, name: str) -> Value:
    """`signal` as it was `steps` enabled clock cycles ago."""
    for step in range(steps):
        register = Signal(signal.shape(), name=f"{name}_{step + 1}")
        with m.If(enable):
            m.d.sync += register.eq(signal)
        signal = register
    return signal
