"""Who may import whom: the floors and wings of the package, checked in every file's syntax tree.

A room imports only rooms on lower floors. The network wing and the hardware wing never import each other; they meet in
`qnet`, which is the ground floor of both. torch stays in the network wing.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "deepdive"

FLOORS = {
    "errors": 0,
    "files": 0,
    "qnet": 1,
    "models": 1,
    "hardware": 1,
    "quantization": 2,
    "compiler": 2,
    "training": 3,
    "backends": 3,
    "simulation": 4,
    "report": 5,
    "codesign": 5,
    "api": 6,  # deepdive/__init__.py
    "cli": 6,
    "__main__": 6,
}
NETWORK_WING = {"models", "quantization", "training"}
HARDWARE_WING = {"hardware", "compiler", "backends", "simulation"}
# Neighbours on one floor that may be imported all the same, in this direction only.
ALLOWED_ON_ONE_FLOOR = {
    ("models", "qnet"),
    ("hardware", "qnet"),
    ("cli", "api"),
    ("__main__", "cli"),
    ("files", "errors"),
}
TORCH_FAMILY = {"torch", "accelerate", "torchvision", "timm"}
NEVER = {"torchvision", "timm", "pickle", "cloudpickle"}


def imported_modules(source: str, module: tuple[str, ...], is_package: bool) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of everything that a file imports, in functions and under TYPE_CHECKING too.

    `module` is the file's own dotted name in parts. `from a import b` yields `a.b`: whether b is a module or a value,
    its first two parts name the room.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = module if is_package else module[:-1]
            anchor = base[: len(base) - (node.level - 1)] if node.level else ()
            prefix = [*anchor, *((node.module or "").split(".") if node.module else [])]
            for alias in node.names:
                yield node.lineno, ".".join([*prefix, alias.name])
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            name = node.args[0].value
            if called in ("import_module", "__import__") and isinstance(name, str) and not name.startswith("."):
                yield node.lineno, name


def room_of(dotted: str) -> str:
    """The room that `deepdive.room.anything` lies in; what the package itself gives away is the api."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FLOORS else "api"


def breach(importer: str, target: str) -> str | None:
    """Why room `importer` may not import room `target`, or None when it may."""
    if importer == target or (importer, target) in ALLOWED_ON_ONE_FLOOR:
        return None
    for wing, other in ((NETWORK_WING, HARDWARE_WING), (HARDWARE_WING, NETWORK_WING)):
        if importer in wing and target in other:
            return f"'{importer}' and '{target}' stand in different wings"
    if FLOORS[target] >= FLOORS[importer]:
        return f"'{importer}' is on floor {FLOORS[importer]}, '{target}' on floor {FLOORS[target]}"
    return None


def breaches(source: str, module: tuple[str, ...], is_package: bool = False) -> list[str]:
    """Every rule that a file of the package breaks, as `line N: reason`."""
    room = module[1] if len(module) > 1 else "api"
    if room not in FLOORS:
        return [f"line 1: '{room}' is no room of the package; the rooms are {', '.join(sorted(FLOORS))}"]
    found = []
    for line, dotted in imported_modules(source, module, is_package):
        top = dotted.split(".")[0]
        reason = None
        if top == "deepdive":
            reason = breach(room, room_of(dotted))
        elif top in NEVER:
            reason = f"'{top}' is never imported"
        elif (top in TORCH_FAMILY or dotted.startswith("safetensors.torch")) and room not in NETWORK_WING:
            reason = f"'{dotted}' belongs to the network wing, '{room}' does not"
        if reason:
            found.append(f"line {line}: {reason}")
    return found


FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=str)
def test_file_keeps_the_rules(path: Path) -> None:
    is_package = path.name == "__init__.py"
    module = ("deepdive", *(path.parent.parts if is_package else path.with_suffix("").parts))
    assert breaches((PACKAGE / path).read_text(), module, is_package) == []


def test_there_are_files_to_check() -> None:
    assert Path("models/zoo.py") in FILES


@pytest.mark.parametrize(
    ("module", "source", "reason"),
    [
        ("qnet.graph", "import torch", "line 1: 'torch' belongs to the network wing, 'qnet' does not"),
        (
            "compiler.explore",
            "x = 1\nimport torch.nn as nn",
            "line 2: 'torch.nn' belongs to the network wing, 'compiler' does not",
        ),
        (
            "report.page",
            "from accelerate import A",
            "line 1: 'accelerate.A' belongs to the network wing, 'report' does not",
        ),
        ("models.zoo", "import torchvision.models", "line 1: 'torchvision' is never imported"),
        ("qnet.graph", "from deepdive.hardware import board", "line 1: 'qnet' is on floor 1, 'hardware' on floor 1"),
        ("qnet.graph", "from ..hardware import board", "line 1: 'qnet' is on floor 1, 'hardware' on floor 1"),
        ("qnet.importers.paper", "from ... import compiler", "line 1: 'qnet' is on floor 1, 'compiler' on floor 2"),
        (
            "models.zoo",
            "def f():\n    from deepdive.compiler import partition",
            "line 2: 'models' and 'compiler' stand in different wings",
        ),
        (
            "simulation.csim",
            "from deepdive import training",
            "line 1: 'simulation' and 'training' stand in different wings",
        ),
        (
            "backends.vitis",
            "import deepdive.simulation.csim",
            "line 1: 'backends' is on floor 3, 'simulation' on floor 4",
        ),
        ("quantization.lower", "from deepdive import load", "line 1: 'quantization' is on floor 2, 'api' on floor 6"),
        (
            "report.page",
            "import importlib\nimportlib.import_module('deepdive.cli')",
            "line 2: 'report' is on floor 5, 'cli' on floor 6",
        ),
        ("errors", "from deepdive.files import write", "line 1: 'errors' is on floor 0, 'files' on floor 0"),
    ],
)
def test_checker_finds_a_breach(module: str, source: str, reason: str) -> None:
    assert breaches(source, ("deepdive", *module.split("."))) == [reason]


def test_checker_refuses_a_room_it_does_not_know() -> None:
    (found,) = breaches("", ("deepdive", "utils"))
    assert found.startswith("line 1: 'utils' is no room of the package")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "qnet.graph",
            "import numpy\nfrom deepdive.errors import DeepDiveError\nfrom . import ops\nfrom .ops import Conv",
        ),
        ("hardware.stages.conv", "from deepdive.qnet.ops import Conv\nfrom ..boards import load"),
        ("models.zoo", "import torch\nfrom deepdive import errors"),
        ("training.loop", "from accelerate import Accelerator\nfrom deepdive.quantization import prepare"),
        ("report.page", "from deepdive.compiler.design import Design\nfrom deepdive.qnet import graph"),
        ("cli", "import deepdive\nfrom deepdive.report import page"),
    ],
)
def test_checker_lets_the_rest_pass(module: str, source: str) -> None:
    assert breaches(source, ("deepdive", *module.split("."))) == []


@pytest.mark.parametrize("room", sorted({"qnet", *HARDWARE_WING}))
def test_room_runs_without_torch(room: str) -> None:
    """Importing a room of the hardware side works where torch is not installed (its import is made to fail)."""
    if not (PACKAGE / room / "__init__.py").exists():
        pytest.skip(f"there is no room {room} yet")
    code = (
        f"import sys; sys.modules['torch'] = None; sys.path.insert(0, {str(PACKAGE.parent)!r}); import deepdive.{room}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
