"""Lets the C library keep the memory of one step for the next."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""Parameters of glibc's mallopt, from malloc.h."""


def keep_freed_memory() -> bool:
    """Tell glibc not to give freed memory back to the system; True if it listens.

    A training step on the CPU frees hundreds of feature maps and asks for the same again. Given back and asked for,
    each of their pages is cleared and mapped once more by the kernel: four times as many page faults. That is a few per
    cent of a step on an idle machine, and up to a quarter where other processes press for memory.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return False
    # 32 MiB is the largest threshold that glibc takes: feature maps up to that size come from the heap.
    settings = ((M_TRIM_THRESHOLD, 2**31 - 1), (M_MMAP_THRESHOLD, 32 << 20), (M_TOP_PAD, 64 << 20))
    return all(mallopt(name, value) == 1 for name, value in settings)
