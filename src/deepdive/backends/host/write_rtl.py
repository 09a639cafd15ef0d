"""Writes the runtime of an RTL design: what its accelerator's registers are called, and what lies in its memories."""

from __future__ import annotations

from pathlib import Path

from deepdive.backends.host.write import write_runtime
from deepdive.backends.verilog.project import weight_bytes
from deepdive.compiler.design import Design
from deepdive.files import write_bytes
from deepdive.hardware.rtl.accelerator import register_map, weight_port
from deepdive.hardware.rtl.shared_ports import external_memories
from deepdive.hardware.rtl.status import MAGIC
from deepdive.hardware.rtl.unit import weight_streams
from deepdive.hardware.stages import SharedBody
from deepdive.qnet import QNet

CORE = "accelerator"
"""Name of the accelerator in the block design, beside the DMA `dma`."""


def write_rtl_host(design: Design, net: QNet, folder: Path) -> None:
    """Write the runtime of an RTL design into `folder`, which exists.

    ``weights/`` holds what shared units read from memory.
    """
    memories = []
    shared = (stage for unit in design.units for stage in unit.stages if isinstance(stage, SharedBody))
    for stage in shared:
        for memory in external_memories(stage):
            file = None
            if not memory.writes:
                (folder / "weights").mkdir(exist_ok=True)
                file = f"weights/{memory.name}.bin"
                write_bytes(folder / file, weight_bytes(stage, net))
            memories.append(
                {
                    "name": memory.name,
                    "base": memory.base,
                    "bytes": memory.words * memory.word_bytes,
                    "file": file,
                    "masters": list(memory.masters),
                }
            )
    streams = [weight_port(stream) for unit in design.units for stream in weight_streams(unit)]
    accelerator = {
        "core": CORE,
        "magic": MAGIC,
        "registers": register_map(design.units).words,
        "memories": memories,
        "weight_streams": streams,
    }
    write_runtime(design, net, folder, {"units": [], "accelerator": accelerator})
