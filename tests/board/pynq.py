"""A board to try the runtime on: what it uses of pynq, and an accelerator behind it, driven by a JSON file.

The file that the environment variable FAKE_BOARD names may say:

- `fingerprint`: 16 hexadecimal digits; `units`: name to registers; `no_core`: a core that is missing;
- `latency`: a frame comes out only when so many more have gone in; `seconds`: to wait for each frame;
- `hang_after`: frames that come out before none does; `error_after`: before the receive channel reports an error;
- `unsteady`: codes differ from frame to frame; `vanish`: a file to remove when the first frame has come out;
- `busy`: a unit that has not finished;
- `accelerator`: the RTL accelerator in place of units: its `registers` and `magic`, `memories` (base to bytes),
  `errors` (register to bits, once a frame has gone in), and `offset`, which moves buffers off the pages' boundaries.

What is written to registers goes to a file of the same name with the suffix .log; of an accelerator where its memories
are and the sum of their bytes, when the first frame goes in.
"""

import json
import os
import time
from pathlib import Path

import numpy as np

FILE = Path(os.environ["FAKE_BOARD"])
BOARD = json.loads(FILE.read_text())


class Buffer(np.ndarray):
    device_address = 0
    flushed = False

    def flush(self):
        self.flushed = True

    def invalidate(self):
        self.fresh = True


def allocate(shape, dtype):
    buffer = np.full(shape, 0x55, dtype).view(Buffer)
    allocate.address += 0x1_0000_0000  # above 32 bits
    buffer.device_address = allocate.address + BOARD.get("accelerator", {}).get("offset", 0)
    allocate.memory[buffer.device_address] = buffer
    return buffer


allocate.address = 0
allocate.memory = {}


class Accelerator:
    """Frames that went in, and how many came out; each comes out as one that `result` makes of it."""

    def __init__(self):
        self.inside = []
        self.out = 0
        self.total = {}
        self.core = Core(BOARD["accelerator"]) if "accelerator" in BOARD else None

    def ready(self):
        if set(self.total) != set(BOARD["units"]) or BOARD.get("hang_after", 1 << 30) <= self.out:
            return False
        in_all = min(self.total.values(), default=1 << 30)
        last = len(self.inside) >= in_all
        return self.out < min(len(self.inside), in_all) and (
            last or len(self.inside) > self.out + BOARD.get("latency", 0)
        )


class Core:
    """The RTL accelerator's registers."""

    def __init__(self, description):
        self.names = {offset: name for name, offset in description["registers"].items()}
        self.memories, self.errors = description["memories"], description.get("errors", {})
        digits = BOARD["fingerprint"]
        self.values = dict.fromkeys(self.names.values(), 0)
        self.values.update(
            magic=description["magic"], fingerprint0=int(digits[:8], 16), fingerprint1=int(digits[8:], 16)
        )
        self.values.update({name: 15 for name in self.values if name.endswith("_errors")})  # of an earlier run
        self.running = False

    def read(self, offset):
        return self.values[self.names[offset]]

    def write(self, offset, value):
        name = self.names[offset]
        assert not self.running
        assert name.endswith(("_base_low", "_base_high", "_errors")), name
        assert 0 <= value < 1 << 32
        self.values[name] = 0 if name.endswith("_errors") else value

    def run(self):
        """The first frame goes in."""
        if self.running:
            return
        self.running = True
        found = {}
        for base, size in self.memories.items():
            address = self.values[f"{base}_low"] | self.values[f"{base}_high"] << 32
            start = max(first for first in allocate.memory if first <= address)
            assert allocate.memory[start].flushed
            content = allocate.memory[start][address - start : address - start + size]
            found[base] = [address % 4096, len(content), int(content.astype(np.int64).sum())]
        with FILE.with_suffix(".log").open("a") as log:
            log.write(json.dumps(found) + "\n")
        for name, bits in self.errors.items():
            self.values[name] |= bits


def result(frame, size):
    """Codes that tell one frame from another."""
    return (np.arange(size) * 7 + int(frame.astype(np.int64).sum())) % 251


class Channel:
    def __init__(self, accelerator, sends):
        self.accelerator, self.sends, self.buffer = accelerator, sends, None

    @property
    def error(self):
        return not self.sends and self.accelerator.out >= BOARD.get("error_after", 1 << 30)

    @property
    def idle(self):
        """As pynq's: undefined before the first transfer."""
        assert self.buffer is not None, "idle asked before a transfer"
        if not self.sends and not self.done and self.accelerator.ready():
            time.sleep(BOARD.get("seconds", 0))
            codes = result(self.accelerator.inside[self.accelerator.out], self.buffer.size)
            if BOARD.get("unsteady"):
                codes = codes + self.accelerator.out
            self.buffer[...] = codes.reshape(self.buffer.shape).astype(self.buffer.dtype)
            self.accelerator.out += 1
            self.done = True
            if "vanish" in BOARD:
                Path(BOARD["vanish"]).unlink(missing_ok=True)
                time.sleep(0.3)
        return self.done

    def transfer(self, buffer):
        if self.buffer is not None and not self.done:
            raise RuntimeError("DMA channel not idle")
        assert isinstance(buffer, Buffer)
        self.buffer, self.done = buffer, self.sends
        if self.sends:
            if self.accelerator.core:
                self.accelerator.core.run()
            self.accelerator.inside.append(np.array(buffer))


class Dma:
    def __init__(self, accelerator):
        self.sendchannel, self.recvchannel = Channel(accelerator, True), Channel(accelerator, False)


class Fingerprint:
    def read(self, offset):
        return int(BOARD["fingerprint"], 16) >> {0: 32, 8: 0}[offset] & 0xFFFFFFFF


class Unit:
    def __init__(self, name, accelerator):
        self.name, self.accelerator, self.registers = name, accelerator, {}

    def read(self, offset):
        assert offset == 0
        return 0 if BOARD.get("busy") == self.name else 4

    def write(self, offset, value):
        assert 0 <= value < 1 << 32
        self.registers[offset] = value
        if offset == 0:
            assert value == 1
            names = {where: name for name, where in BOARD["units"][self.name].items()}
            written = {names[where]: found for where, found in self.registers.items() if where}
            self.accelerator.total[self.name] = written["frames"]
            for name in [name[:-2] for name in written if name.endswith("_1")]:
                memory = allocate.memory[written[f"{name}_1"] | written[f"{name}_2"] << 32]
                assert memory.flushed
                written[name] = int(memory.astype(np.int64).sum())
            with FILE.with_suffix(".log").open("a") as log:
                log.write(json.dumps([self.name, written]) + "\n")


class Overlay:
    def __init__(self, path):
        accelerator = Accelerator()
        cores = {"dma": Dma(accelerator), "fingerprint": Fingerprint()}
        if accelerator.core:
            cores = {"dma": Dma(accelerator), "accelerator": accelerator.core}
        cores.update({name: Unit(name, accelerator) for name in BOARD["units"]})
        cores.pop(BOARD.get("no_core"), None)
        self.ip_dict = {name: {} for name in cores}
        for name, core in cores.items():
            setattr(self, name, core)
            registers = BOARD["units"].get(name, {})
            self.ip_dict[name]["registers"] = {key: {"address_offset": at} for key, at in registers.items()}
