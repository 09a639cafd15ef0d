"""Runs of words between memories and streams: the signals that say which, and those of the stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Module, Signal, Value


@dataclass(frozen=True)
class Beats:
    """The signals of a stream."""

    payload: Signal
    valid: Signal
    ready: Signal

    @classmethod
    def like(cls, stream_: Any, name: str) -> Beats:
        """Signals for the same beats."""
        return cls(
            Signal(len(stream_.payload), name=f"{name}_payload"),
            Signal(name=f"{name}_valid"),
            Signal(name=f"{name}_ready"),
        )


@dataclass(frozen=True)
class Transfer:
    """A run of words.

    Parameters
    ----------
    begin
        High for a cycle while nothing moves: take `at` and `words`.
    busy
        Words are left to be moved.
    """

    begin: Signal
    at: Signal
    words: Signal
    busy: Signal

    @classmethod
    def named(cls, name: str, addresses: int, words: int) -> Transfer:
        """Signals that count so far."""
        return cls(
            Signal(name=f"{name}_begin"),
            Signal(range(max(addresses, 2)), name=f"{name}_at"),
            Signal(range(words + 1), name=f"{name}_words"),
            Signal(name=f"{name}_busy"),
        )

    def counters(self, m: Module, step: Value, name: str) -> tuple[Signal, Signal]:
        """(address, words left); both move with `step`."""
        address, left = Signal.like(self.at, name=f"{name}_address"), Signal.like(self.words, name=f"{name}_left")
        with m.If(self.begin):
            m.d.sync += [address.eq(self.at), left.eq(self.words)]
        with m.Elif(step):
            m.d.sync += [address.eq(address + 1), left.eq(left - 1)]
        return address, left
