"""The cycles that the authors' C++ takes, from the file `cycles.json` beside the paper's parameters."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from deepdive.errors import DeepDiveError
from deepdive.qnet.ops import Node
from deepdive.qnet.schedule import MAX_CALLS, MAX_CYCLES, Call, Schedule

CYCLES, MAX_BYTES = "cycles.json", 1 << 20
CLOCK_MHZ = 200.0
"""Of the authors' project."""
TITLE = "the paper's published C++ (read from its loops, not measured)"
OTHERS = {"pool": "tail", "logits": "linear"}
"""Calls of nodes that are not named after them."""


class Entry(BaseModel):
    """One call in the file; `fifo2_port_fill10` counts FIFOs of two, memory ports and pipelines that fill."""

    model_config = ConfigDict(extra="ignore")

    weight_load: int = Field(ge=0, le=MAX_CYCLES)
    bottleneck: str
    ideal: int = Field(ge=1, le=MAX_CYCLES)
    fifo2_port_fill10: int = Field(ge=1, le=MAX_CYCLES)


ENTRIES = TypeAdapter(dict[str, Entry])


def read_schedule(folder: Path, nodes: tuple[Node, ...]) -> Schedule | None:
    """The schedule, if its file lies in `folder` or one up; else None.

    Raises
    ------
    DeepDiveError
        When the file is no such table.
    """
    path = next((place / CYCLES for place in (folder, folder.parent) if (place / CYCLES).is_file()), None)
    if path is None:
        return None
    if path.stat().st_size > MAX_BYTES:
        raise DeepDiveError(f"{CYCLES} has more than {MAX_BYTES} bytes.")
    try:
        entries = ENTRIES.validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise DeepDiveError(f"{CYCLES} is wrong at '{'.'.join(map(str, first['loc']))}': {first['msg']}.") from None
    if not 1 <= len(entries) <= MAX_CALLS:
        raise DeepDiveError(f"{CYCLES} has {len(entries)} entries; want 1 to {MAX_CALLS}.")
    owners = [OTHERS.get(node.name, node.name.split("_")[0]) for node in nodes]
    calls = []
    for name, entry in entries.items():
        mine = tuple(node.name for node, owner in zip(nodes, owners, strict=True) if owner == name)
        high = max(entry.fifo2_port_fill10, entry.ideal)
        calls.append(Call(name, mine, entry.weight_load, entry.ideal, high, entry.bottleneck))
    return Schedule(TITLE, CLOCK_MHZ, tuple(calls))
