"""Writes the runtime of an RTL design: what its accelerator's registers are called, and what lies in its memories."""

from __future__ import annotations

from pathlib import Path

from deepdive.backends.host.write import write_runtime
from deepdive.backends.verilog.contents import memory_contents
from deepdive.backends.verilog.vivado import CORE
from deepdive.compiler.design import Design
from deepdive.files import write_bytes
from deepdive.hardware.rtl.accelerator import register_map
from deepdive.hardware.rtl.memory_ports import external_memories
from deepdive.hardware.rtl.status import MAGIC
from deepdive.qnet import QNet


def write_rtl_host(design: Design, net: QNet, folder: Path) -> None:
    """Write the runtime of an RTL design into `folder`, which exists.

    ``weights/`` holds what stages read from memory.
    """
    memories = []
    for stage in (stage for unit in design.units for stage in unit.stages):
        contents = memory_contents(stage, net)
        for memory in external_memories(stage):
            file = None
            if memory.name in contents:
                (folder / "weights").mkdir(exist_ok=True)
                file = f"weights/{memory.name}.bin"
                write_bytes(folder / file, contents[memory.name])
            memories.append(
                {
                    "name": memory.name,
                    "base": memory.base,
                    "bytes": memory.words * memory.word_bytes,
                    "file": file,
                    "masters": list(memory.masters),
                }
            )
    accelerator = {
        "core": CORE,
        "magic": MAGIC,
        "registers": register_map(design.units).words,
        "memories": memories,
    }
    write_runtime(design, net, folder, {"units": [], "accelerator": accelerator})
