"""Pairs of weights that share a multiplier: every weight and code, and sums at the edge of their field."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import deepdive.hardware.hls as library
from deepdive.hardware.stages.arithmetic import field_terms

PROGRAM = """
#include "deepdive/multiply.h"
#include <cstdio>
#include <initializer_list>

constexpr int weight_bits = %(bits)d, field = %(field)d;
constexpr int low = -(1 << (weight_bits - 1)), high = (1 << (weight_bits - 1)) - 1;

template <int INPUTS, int OUTPUTS>
bool equal(const int (&codes)[INPUTS], const ap_int<weight_bits> (&factors)[INPUTS * OUTPUTS]) {
    int sums[OUTPUTS];
    int of_luts[OUTPUTS];
    deepdive::multiply<weight_bits, field, false, INPUTS, OUTPUTS>(codes, factors, sums);
    deepdive::multiply<weight_bits, 0, true, INPUTS, OUTPUTS>(codes, factors, of_luts);
    for (int out = 0; out < OUTPUTS; ++out) {
        int wanted = 0;
        for (int in = 0; in < INPUTS; ++in) wanted += codes[in] * static_cast<int>(factors[in * OUTPUTS + out]);
        if (wanted != sums[out] || wanted != of_luts[out]) {
            std::printf("%%d inputs: %%d is not %%d\\n", INPUTS, sums[out], wanted);
            return false;
        }
    }
    return true;
}

template <int INPUTS, int OUTPUTS>
bool corners() {
    for (int code : {-128, 127, 255})
        for (int first : {low, high, 0})
            for (int second : {low, high, -1}) {
                int codes[INPUTS];
                ap_int<weight_bits> factors[INPUTS * OUTPUTS];
                for (int in = 0; in < INPUTS; ++in) {
                    codes[in] = code;
                    for (int out = 0; out < OUTPUTS; ++out) factors[in * OUTPUTS + out] = out %% 2 ? second : first;
                }
                if (!equal<INPUTS, OUTPUTS>(codes, factors)) return false;
            }
    return true;
}

int main() {
    long count = 0;
    for (int code = -128; code < 256; ++code)
        for (int first = low; first <= high; ++first)
            for (int second = low; second <= high; ++second, ++count) {
                const bool corner = code == -128 || code == 127 || code == 255 || second == low || second == high;
                if (weight_bits > 6 && !corner) continue;
                const int codes[1] = {code};
                const ap_int<weight_bits> factors[2] = {first, second};
                if (!equal<1, 2>(codes, factors)) return 1;
            }
    std::printf("%%ld %%d\\n", count, deepdive::packed_terms(field, weight_bits));
    return !(corners<64, 2>() && corners<65, 2>() && corners<150, 3>() && corners<7, 1>());
}
"""


@pytest.mark.parametrize(
    ("bits", "field"), [(2, 18), (3, 18), (4, 18), (5, 18), (6, 18), (7, 18), (8, 18), (9, 17), (7, 17), (8, 16)]
)
def test_every_pair_of_weights_and_every_code(tmp_path: Path, bits: int, field: int) -> None:
    """All pairs with all codes; 64 terms fill the lower field of 4-bit weights, 65 and 150 do not fit it.

    Of more than six bits all pairs with corner codes, and all codes with pairs of any weight and a corner.
    """
    (tmp_path / "main.cpp").write_text(PROGRAM % {"bits": bits, "field": field})
    folder = Path(library.__file__).parent
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-label"]
    flags += ["-fsanitize=undefined", "-fno-sanitize-recover=all", f"-I{folder}", f"-I{folder / 'include'}"]
    subprocess.run(["g++", *flags, "main.cpp", "-o", "main"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.split() == [str(384 << 2 * bits), str(field_terms(field, 8, False, bits))]
