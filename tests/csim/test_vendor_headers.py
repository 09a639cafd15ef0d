"""The same sources against AMD's own ap_int, which the hls4ml wheel carries under the Apache licence: the same bits.

Its hls_stream.h is not openly licensed; the stream stays ours.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest
from batch import Case, check_cases

from deepdive.hardware.boards import load_board
from foldings import drawn_design
from networks import four_block_network, random_codes
from shared_designs import drawn_shared_design


@pytest.fixture
def vendor_headers(tmp_path: Path) -> Path:
    """A folder of AMD's headers and our stream."""
    spec = importlib.util.find_spec("hls4ml")
    if spec is None or spec.origin is None:
        pytest.skip("hls4ml is not installed; it carries AMD's ap_int.h")
    headers = Path(spec.origin).parent / "templates" / "vivado" / "ap_types"
    folder = tmp_path / "vendor"
    shutil.copytree(headers, folder, ignore=shutil.ignore_patterns("hls_stream.h"))
    library = importlib.util.find_spec("deepdive.hardware.hls")
    assert library is not None
    assert library.origin is not None
    shutil.copy(Path(library.origin).parent / "include" / "hls_stream.h", folder)
    return folder


@pytest.mark.slow
def test_same_bits_with_the_vendors_integers(vendor_headers: Path, tmp_path: Path) -> None:
    """8-bit codes and weights, 4-bit ones on shared units, 3-bit ones; -Werror holds for our files, not for theirs."""
    cases = []
    for index, bits in enumerate((8, 4, 3)):
        net = four_block_network(index, weight_bits=bits, bits=bits)
        draw = drawn_shared_design if bits == 4 else drawn_design
        design = draw(net, load_board("zcu102"), seed=index, prefix=f"case{index}_")
        cases.append(Case(net, design, random_codes(net, 2, seed=index), frames_a_call=2))
    (tmp_path / "project").mkdir()
    check_cases(cases, tmp_path / "project", ("-I.", "-isystem", str(vendor_headers)))
