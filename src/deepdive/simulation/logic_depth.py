"""How deep the logic of a netlist is: how many LUTs stand one after the other between two registers.

Modules are measured one by one, from what lies below them: how late an output is behind a register, how late behind
each input, and how much follows an input until the next register. Joined, they give every path of the whole.

A LUT is a step, and so is a read of LUT RAM and a multiplication in a DSP (Yosys gives its DSPs no registers). A carry
chain and the multiplexers behind LUTs (MUXF7 and wider) are none: the LUTs that feed them are counted. Enables and
resets of registers are ends of paths like their data.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

from deepdive.simulation.netlist import BLOCK_RAMS, LUTS, REGISTERS, Bit, Cell, Module

FREE = ("MUXF7", "MUXF8", "MUXF9", "CARRY4", "CARRY8", "INV", "BUFG")
WRITES = ("D", "W", "C")
"""Inputs of LUT RAMs and shift registers that begin so are taken with the clock: data, write enable, clock enable."""

Pin = tuple[str, int]
"""A port of a module and the number of one of its bits."""


@dataclass(frozen=True, order=True)
class Reach:
    """Steps on the way to or from a register, and its name."""

    steps: int
    register: str


@dataclass(frozen=True, order=True)
class LogicPath:
    """The longest path: LUTs (or LUT RAMs, or DSPs) between two registers."""

    luts: int
    start: str
    end: str


@dataclass(frozen=True)
class Timing:
    """What a module adds to paths: outputs behind its registers, outputs behind inputs, registers behind inputs."""

    late: Mapping[Pin, Reach]
    through: Mapping[Pin, Mapping[Pin, int]]
    ahead: Mapping[Pin, Reach]
    longest: LogicPath


def logic_depth(top: str, modules: Mapping[str, Module]) -> LogicPath:
    """The longest path between two registers of `top` and of all that it instantiates."""
    timings: dict[str, Timing] = {}

    def measure(name: str) -> Timing:
        if name not in timings:
            inner = {cell.kind for cell in modules[name].cells.values() if cell.kind in modules}
            timings[name] = Graph(modules[name], {kind: measure(kind) for kind in inner}).timing()
        return timings[name]

    return measure(top).longest


class Graph:
    """The nets of a module: which follows which and after how many steps, where paths begin and where they end."""

    def __init__(self, module: Module, inner: Mapping[str, Timing]) -> None:
        self.module = module
        self.after: defaultdict[Bit, list[tuple[Bit, int]]] = defaultdict(list)
        self.starts: dict[Bit, Reach] = {}
        self.ends: dict[Bit, Reach] = {}
        self.inside = [timing.longest for timing in inner.values()]
        for name, cell in module.cells.items():
            if cell.kind in inner:
                self._instance(name, cell, inner[cell.kind])
            else:
                self._primitive(cell)
        self.rank = self._order()

    def _instance(self, name: str, cell: Cell, timing: Timing) -> None:
        nets = {**cell.inputs, **cell.outputs}
        for (port, bit), reach in timing.late.items():
            self._start(nets[port][bit], Reach(reach.steps, f"{name}.{reach.register}"))
        for (port, bit), reach in timing.ahead.items():
            self._end(nets[port][bit], Reach(reach.steps, f"{name}.{reach.register}"))
        for (port, bit), outputs in timing.through.items():
            for (target, target_bit), steps in outputs.items():
                self.after[nets[port][bit]].append((nets[target][target_bit], steps))

    def _primitive(self, cell: Cell) -> None:
        outputs = [bit for bits in cell.outputs.values() for bit in bits]
        registered = cell.kind in REGISTERS or cell.kind in BLOCK_RAMS or cell.kind.startswith("URAM")
        if cell.kind.startswith("DSP48"):
            registered = int(cell.parameters.get("PREG", "0"), 2) > 0
        storage = cell.kind.startswith(("RAM", "SRL")) and not registered
        name = self._name(outputs)
        if registered or storage:
            for bit in outputs:
                self._start(bit, Reach(int(storage), name))
        for port, bits in cell.inputs.items():
            if registered or (storage and port.startswith(WRITES)):
                for bit in bits:
                    self._end(bit, Reach(0, name))
                continue
            steps = 0 if cell.kind in FREE else 1
            if steps and not (cell.kind in LUTS or cell.kind.startswith("DSP48")):
                raise ValueError(f"no timing for the primitive {cell.kind}")
            for bit in bits:
                self.after[bit] += [(output, steps) for output in outputs]

    def _name(self, bits: Iterable[Bit]) -> str:
        return next((self.module.names[bit] for bit in bits if bit in self.module.names), "?")

    def _start(self, bit: Bit, reach: Reach) -> None:
        self.starts[bit] = max(self.starts.get(bit, reach), reach)

    def _end(self, bit: Bit, reach: Reach) -> None:
        self.ends[bit] = max(self.ends.get(bit, reach), reach)

    def _order(self) -> dict[Bit, int]:
        """Every net's place in an order in which none comes before those that it follows."""
        waits: defaultdict[Bit, int] = defaultdict(int)
        for targets in self.after.values():
            for target, _ in targets:
                waits[target] += 1
        free = [bit for bit in list(self.after) if not waits[bit]]
        rank: dict[Bit, int] = {}
        while free:
            bit = free.pop()
            rank[bit] = len(rank)
            for target, _ in self.after.get(bit, ()):
                waits[target] -= 1
                if not waits[target]:
                    free.append(target)
        return rank

    def _spread(self, begin: Mapping[Bit, Reach]) -> Iterator[tuple[Bit, Reach]]:
        """Every net behind `begin`, in order, with the longest way to it."""
        reached = dict(begin)
        nets = {self.rank[bit]: bit for bit in begin if bit in self.rank}
        queue = sorted(nets)
        yield from ((bit, reach) for bit, reach in begin.items() if bit not in self.rank)
        while queue:
            bit = nets[heappop(queue)]
            reach = reached[bit]
            yield bit, reach
            for target, steps in self.after.get(bit, ()):
                further = Reach(reach.steps + steps, reach.register)
                known = reached.get(target)
                if known is None:
                    nets[self.rank[target]] = target
                    heappush(queue, self.rank[target])
                if known is None or further.steps > known.steps:
                    reached[target] = further

    def timing(self) -> Timing:
        """The module's own paths, and what it adds to those through its ports."""
        inputs = [(name, port) for name, port in self.module.ports.items() if port.is_input]
        pins: defaultdict[Bit, list[Pin]] = defaultdict(list)
        for name, port in self.module.ports.items():
            if not port.is_input:
                for index, bit in enumerate(port.bits):
                    pins[bit].append((name, index))
        longest = max(self.inside, default=LogicPath(0, "", ""), key=lambda path: path.luts)
        late: dict[Pin, Reach] = {}
        for bit, reach in self._spread(self.starts):
            late.update(dict.fromkeys(pins.get(bit, ()), reach))
            end = self.ends.get(bit)
            if end and reach.steps + end.steps > longest.luts:
                longest = LogicPath(reach.steps + end.steps, reach.register, end.register)
        through: dict[Pin, dict[Pin, int]] = {}
        ahead: dict[Pin, Reach] = {}
        for name, port in inputs:
            for index, bit in enumerate(port.bits):
                outputs: dict[Pin, int] = {}
                for net, reach in self._spread({bit: Reach(0, "")}):
                    outputs.update(dict.fromkeys(pins.get(net, ()), reach.steps))
                    end = self.ends.get(net)
                    if end:
                        whole = Reach(reach.steps + end.steps, end.register)
                        ahead[name, index] = max(ahead.get((name, index), whole), whole)
                if outputs:
                    through[name, index] = outputs
        return Timing(late, through, ahead, longest)
