"""Pairs of codes that share a weight's multiplier: every two codes, and sums at the edge of their field."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import deepdive.hardware.hls as library
from deepdive.hardware.stages.arithmetic import field_terms, pixel_field

PROGRAM = """
#include "deepdive/multiply_pixels.h"
#include <cstdio>
#include <initializer_list>

constexpr int weight_bits = %(bits)d, field = %(field)d;
constexpr int low = -(1 << (weight_bits - 1)), high = (1 << (weight_bits - 1)) - 1;

template <int TAPS, int LANES>
bool equal(int first, int second, int weight, int other) {
    short codes[2][TAPS];
    ap_int<weight_bits> factors[TAPS * LANES];
    for (int lane = 0; lane < LANES; ++lane) {
        int wanted[2] = {0, 0}, sums[2];
        for (int tap = 0; tap < TAPS; ++tap) {
            codes[0][tap] = first;
            codes[1][tap] = second;
            for (int at = 0; at < LANES; ++at) factors[tap * LANES + at] = at == lane ? weight : other;
            wanted[0] += first * weight;
            wanted[1] += second * weight;
        }
        deepdive::multiply_pixels<weight_bits, field>(codes, factors, lane, sums);
        if (sums[0] != wanted[0] || sums[1] != wanted[1]) {
            std::printf("%%d taps, codes %%d and %%d, weight %%d\\n", TAPS, first, second, weight);
            return false;
        }
    }
    return true;
}

int main() {
    long count = 0;
    for (int start : {0, -128})
        for (int first = start; first < start + 256; ++first)
            for (int second = start; second < start + 256; ++second)
                for (int weight : {low, low + 1, -1, 0, 1, high, first %% (high + 1)}) {
                    ++count;
                    if (!equal<1, 1>(first, second, weight, 0)) return 1;
                    const bool corner = first == start || first == start + 255;
                    if (corner && !(equal<9, 2>(first, second, weight, low) && equal<25, 1>(first, second, weight, 0) &&
                                    equal<64, 1>(first, second, weight, 0) && equal<65, 1>(first, second, weight, 0)))
                        return 1;
                }
    std::printf("%%ld %%d\\n", count, deepdive::packed_terms(field, weight_bits));
}
"""


@pytest.mark.parametrize(("bits", "wide"), [(2, 27), (4, 27), (6, 27), (8, 27), (9, 27), (4, 25), (8, 25)])
def test_every_pair_of_codes_and_corner_weights(tmp_path: Path, bits: int, wide: int) -> None:
    """All codes 0..255 and -128..127 of both pixels, alone; of 9 to 65 taps where the first pixel's is a corner: 64
    fill the lower field of 4-bit weights."""
    field = pixel_field(8, bits, wide)
    assert field == (18 if wide == 27 else 16)
    (tmp_path / "main.cpp").write_text(PROGRAM % {"bits": bits, "field": field})
    folder = Path(library.__file__).parent
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-label"]
    flags += ["-fsanitize=undefined", "-fno-sanitize-recover=all", f"-I{folder}", f"-I{folder / 'include'}"]
    subprocess.run(["g++", *flags, "main.cpp", "-o", "main"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.split() == [str(2 * 256 * 256 * 7), str(field_terms(field, 8, False, bits))]


def test_codes_and_weights_that_do_not_fit_have_no_field() -> None:
    """A field of 16 bits does not hold a product of an 8-bit code and a 9-bit weight."""
    assert pixel_field(8, 9, 25) == 0
    assert pixel_field(4, 8, 25) == 18
