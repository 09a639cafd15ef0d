"""Every emitted unit and every stage's header keeps to what high-level synthesis can build; no vendor tool needed."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

from deepdive.backends.vitis import write_project
from deepdive.compiler.design import Design
from deepdive.compiler.shared import Sharing
from deepdive.hardware.boards import load_board
from deepdive.hardware.stages import Dense, PointwiseFolding, SharedFolding
from foldings import drawn_design
from networks import four_block_network
from shared_designs import shared_design

if importlib.util.find_spec("clang") is None:
    pytest.skip("libclang is not installed", allow_module_level=True)

from synthesizable import Breach, breaches

FOLDING = SharedFolding(
    expand=PointwiseFolding(in_lanes=4, out_parallel=8, lanes=4),
    middle_lanes=4,
    project=PointwiseFolding(in_lanes=4, out_parallel=4, lanes=4),
    memory_lanes=4,
)
# Foldings that, together, put weights everywhere and repack; weights of 4 bits, which share multipliers; bodies on
# shared units with memories outside and inside.
PROJECTS = (
    (1, 8, None),
    (2, 8, None),
    (1, 4, None),
    (1, 4, Sharing(FOLDING, batch=2)),
    (2, 8, Sharing(FOLDING, weight_buffers=1)),
    (3, 8, Sharing(FOLDING, maps="on_chip", weights="on_chip", batch=3)),
)


def project_name(project: tuple[int, int, Sharing | None]) -> str:
    seed, bits, sharing = project
    return f"seed{seed}-{bits}bits" + (f"-{sharing.maps}-{sharing.weights}" if sharing else "")


@pytest.fixture(scope="module", params=PROJECTS, ids=project_name)
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Design]:
    """The four-block network's emitted project."""
    seed, bits, sharing = request.param
    net = four_block_network(0, weight_bits=bits)
    board = load_board("zcu102")
    design = shared_design(net, board, [(2, sharing)], seed=seed) if sharing else drawn_design(net, board, seed)
    folder = tmp_path_factory.mktemp("project")
    write_project(design, net, folder)
    return folder, design


def test_every_unit_is_synthesizable(project: tuple[Path, Design]) -> None:
    folder, design = project
    found = [
        one for unit in design.units for one in breaches(folder, f"units/{unit.name}.cpp", top=f"{unit.name}_unit")
    ]
    assert found == []


def test_one_of_the_projects_reads_weights_from_memory() -> None:
    """So that the rule on memory ports is not idle."""
    design = drawn_design(four_block_network(0), load_board("zcu102"), PROJECTS[0][0])
    stages = [stage for unit in design.units for stage in unit.stages if isinstance(stage, Dense)]
    assert any(stage.weights == "external" for stage in stages)


def test_every_header_is_synthesizable_on_its_own(project: tuple[Path, Design]) -> None:
    folder, _ = project
    headers = sorted((folder / "deepdive").glob("*.h"))
    assert len(headers) > 5
    assert [one for header in headers for one in breaches(folder, f"deepdive/{header.name}")] == []


def test_clang_compiles_without_a_warning(project: tuple[Path, Design]) -> None:
    """libclang warns as clang++ does; this also instantiates and generates code."""
    if shutil.which("clang++") is None:
        pytest.skip("clang++ is not installed")
    folder, design = project
    for unit in design.units:
        command = ["clang++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-label"]
        command += ["-I.", "-Iinclude", "-c", "-o", "unit.o", f"units/{unit.name}.cpp"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


PORT = "#pragma HLS interface s_axilite port=port\n"
RETURN = "#pragma HLS interface s_axilite port=return\n"
TOP = f"void top_unit(int* port) {{{{\n{PORT}{RETURN}{{}}\n}}}}\n"

REFUSED = {
    "new": (TOP.format("int* p = new int[4]; port[0] = p[0];"), "dynamic memory"),
    "delete": (TOP.format("delete port;"), "dynamic memory"),
    "malloc": ("#include <cstdlib>\n" + TOP.format("port = (int*)malloc(4); port[0] = 1;"), "dynamic memory"),
    "std malloc": ("#include <cstdlib>\n" + TOP.format("port = (int*)std::malloc(4);port[0] = 1;"), "dynamic memory"),
    "variable array": (TOP.format("int kept[port[0]]; kept[0] = 1; port[0] = kept[0];"), "dynamic memory"),
    "recursion": ("int f(int n) { return n < 2 ? n : f(n - 1); }\n" + TOP.format("port[0] = f(3);"), "recursion"),
    "recursion of two": (
        "int g(int n);\nint f(int n) { return n < 2 ? n : g(n - 1); }\nint g(int n) { return f(n); }\n"
        + TOP.format("port[0] = f(3);"),
        "recursion",
    ),
    "recursion in templates": (
        "template <class T> T f(T n) { return n < 2 ? n : f(n - 1); }\n" + TOP.format("port[0] = f(3);"),
        "recursion",
    ),
    "recursion of methods": (
        "struct s { template <int N> int f(int n) { return n < N ? n : f<N>(n - 1); } };\n"
        + TOP.format("s one; port[0] = one.f<2>(3);"),
        "recursion",
    ),
    "virtual method": (
        "struct s { virtual int f() { return 1; } };\n" + TOP.format("s one; port[0] = one.f();"),
        "virtual function",
    ),
    "virtual base": (
        "struct a { int x; };\nstruct b : virtual a {};\n" + TOP.format("b one; one.x = 1; port[0] = one.x;"),
        "virtual function",
    ),
    "vector": ("#include <vector>\n" + TOP.format("std::vector<int> v(3); port[0] = v[0];"), "std container"),
    "array": ("#include <array>\n" + TOP.format("std::array<int, 3> v = {}; port[0] = v[0];"), "std container"),
    "using namespace": (
        "#include <map>\nusing namespace std;\n" + TOP.format("map<int, int> m; port[0] = m[0];"),
        "std container",
    ),
    "throw": (TOP.format("if (port[0] == 1) throw 1;"), "exception"),
    "try": (TOP.format("try { port[0] = 1; } catch (...) { port[0] = 2; }"), "exception"),
    "while": (TOP.format("loop: while (port[0] != 0) { --port[0]; }"), "unbounded loop"),
    "do": (TOP.format("loop: do { --port[0]; } while (port[0] != 0);"), "unbounded loop"),
    "goto": (TOP.format("again: --port[0]; if (port[0] > 0) goto again;"), "unbounded loop"),
    "for without head": (TOP.format("loop: for (;;) { ++port[0]; }"), "unbounded loop"),
    "for without step": (TOP.format("loop: for (int i = 0; i < 4;) { port[i] = 0; ++i; }"), "unbounded loop"),
    "for moved away": (TOP.format("loop: for (int i = 0; i < 4; --i) { port[0] = 0; }"), "unbounded loop"),
    "for changed inside": (
        TOP.format("loop: for (int i = 0; i < 4; ++i) { port[0] = 0; i -= 1; }"),
        "unbounded loop",
    ),
    "bound changed inside": (
        TOP.format("int n = 4; loop: for (int i = 0; i < n; ++i) { port[0] = 0; ++n; }"),
        "unbounded loop",
    ),
    "other condition": (TOP.format("loop: for (int i = 0; port[i] < 4; ++i) { port[0] = 0; }"), "unbounded loop"),
    "either condition": (
        TOP.format("loop: for (int i = 0; i < 4 || port[0] > 1; ++i) { port[0] = 0; }"),
        "unbounded loop",
    ),
    "unlabelled loop": (TOP.format("for (int i = 0; i < 4; ++i) { port[i] = 0; }"), "loop label"),
    "unlabelled inner loop": (
        TOP.format("outer: for (int i = 0; i < 4; ++i) { for (int j = 0; j < 4; ++j) { port[i + j] = 0; } }"),
        "loop label",
    ),
    "unlabelled loop in a template": (
        "template <int N> void f(int* p) { for (int i = 0; i < N; ++i) { p[i] = 0; } }\n" + TOP.format("f<3>(port);"),
        "loop label",
    ),
    "static": (TOP.format("static int kept = 0; port[0] = ++kept;"), "static"),
    "static array": (TOP.format("static int kept[4]; port[0] = ++kept[0];"), "static"),
    "static pointer to const": (TOP.format("static const int* kept = port; port[0] = kept[0];"), "static"),
    "global": ("int kept = 0;\n" + TOP.format("port[0] = ++kept;"), "static"),
    "static member": ("struct s { static inline int kept = 0; };\n" + TOP.format("port[0] = ++s::kept;"), "static"),
    "double": (TOP.format("double half = port[0]; port[0] = half > 1;"), "floating point"),
    "literal": (TOP.format("port[0] = port[0] > 0.5;"), "floating point"),
    "float in a template": (
        "template <class T> T f(T x) { float y = x; return y > 1; }\n" + TOP.format("port[0] = f(1);"),
        "floating point",
    ),
    "float pointer": ("inline void f(float*) {}\n" + TOP.format("f(nullptr); port[0] = 1;"), "floating point"),
    "float result": ("inline float f();\n" + TOP.format("port[0] = 1;"), "floating point"),
    "port without pragma": (
        f"void top_unit(int* port, int other) {{\n{PORT}{RETURN}port[0] = other;\n}}\n",
        "interface port",
    ),
    "return without pragma": (f"void top_unit(int* port) {{\n{PORT}port[0] = 1;\n}}\n", "interface port"),
    "memory port without address": (
        f"void top_unit(int* port) {{\n#pragma HLS interface m_axi port=port\n{RETURN}port[0] = 1;\n}}\n",
        "interface port",
    ),
    "a warning": (TOP.format("int unused = 1; port[0] = 1;"), "compiler"),
    "an error": (TOP.format("port[0] = nothing;"), "compiler"),
}


def checked(folder: Path, text: str) -> list[Breach]:
    (folder / "top.cpp").write_text(text)
    return breaches(folder, "top.cpp", includes=(), top="top_unit")


@pytest.mark.parametrize("name", REFUSED)
def test_each_rule_can_fail(name: str, tmp_path: Path) -> None:
    text, rule = REFUSED[name]
    found = checked(tmp_path, text)
    assert rule in {one.rule for one in found}, found
    assert {one.file for one in found} == {"top.cpp"}


def test_a_refusal_in_a_header_names_the_header(tmp_path: Path) -> None:
    (tmp_path / "part.h").write_text("inline int twice(int x) {\n    static int kept = 0;\n    return kept += x;\n}\n")
    found = checked(tmp_path, '#include "part.h"\n' + TOP.format("port[0] = twice(2);"))
    assert found == [Breach("part.h", 2, "static", "kept")]


def test_what_is_synthesizable_passes(tmp_path: Path) -> None:
    text = (
        "#include <cstdint>\n#include <type_traits>\n"
        "template <int N> void clear(int (&kept)[N], int last) {\n"
        "all:\n    for (int i = N - 1; i >= last; --i) {\n        kept[i] = 0;\n    }\n}\n"
        "const short zeros[2] = {1, 2};\n"
        + TOP.format(
            "static const int two = 2; static constexpr int more[2] = {3, 4}; int kept[4]; clear(kept, 0);\n"
            "each: for (std::int32_t i = 0; i < 1 + two && i < 2; i += 1) { kept[i] += more[i] + zeros[i]; }\n"
            "port[0] = std::is_same_v<int, int> ? kept[0] : 0;"
        )
    )
    assert checked(tmp_path, text) == []
