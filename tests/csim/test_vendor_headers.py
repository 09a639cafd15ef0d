"""The same sources with g++ and clang++, our headers and AMD's own ap_int (the hls4ml wheel carries it): the same bits.

AMD's ap_int is under the Apache licence. Its hls_stream.h is not openly licensed; the stream stays ours.
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


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """8-bit codes and weights, 4-bit ones on shared units, 3-bit ones."""
    made = []
    for index, bits in enumerate((8, 4, 3)):
        net = four_block_network(index, weight_bits=bits, bits=bits)
        draw = drawn_shared_design if bits == 4 else drawn_design
        design = draw(net, load_board("zcu102"), seed=index, prefix=f"case{index}_")
        made.append(Case(net, design, random_codes(net, 2, seed=index), frames_a_call=2))
    return made


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_same_bits_with_the_vendors_integers(
    vendor_headers: Path, tmp_path: Path, cases: list[Case], compiler: str
) -> None:
    """-Werror holds for our files, not for theirs."""
    build(cases, tmp_path / "project", ("-I.", "-isystem", str(vendor_headers)), compiler)


@pytest.mark.slow
def test_same_bits_with_another_compiler(tmp_path: Path, cases: list[Case]) -> None:
    """Our headers with clang++; all other tests use g++."""
    build(cases, tmp_path / "project", ("-I.", "-Iinclude"), "clang++")


def build(cases: list[Case], folder: Path, headers: tuple[str, ...], compiler: str) -> None:
    """Compile and run; every unit's output is the reference's, so it is any other compiler's as well."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    folder.mkdir()
    check_cases(cases, folder, headers, compiler)
