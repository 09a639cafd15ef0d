"""The dataflow region of a shared body: the processes through which a block flows, and the FIFOs between them.

A part that every block has is always passed; one that none has is not there; one that some have lies between a route
and a select, with a way past it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deepdive.backends.vitis.stages.code import Constant, flag, integers
from deepdive.backends.vitis.stages.depthwise import multipliers
from deepdive.backends.vitis.stages.shared_numbers import SharedNumbers
from deepdive.hardware.stages import Depthwise, PointwiseFolding, SharedBody, Stage, Window
from deepdive.hardware.stages.shared_chain import fifos

CODE = "ap_uint<8>"


@dataclass(frozen=True)
class Process:
    """One call of a template: ``deepdive::template<spec>(arguments, frames, block.layer)``."""

    template: str
    arguments: tuple[str, ...]
    layer: str = ""
    spec: str = ""


@dataclass(frozen=True)
class Spec:
    """A struct of types and constants."""

    name: str
    beats: tuple[tuple[str, str], ...]
    constants: tuple[Constant, ...] = ()


@dataclass(frozen=True)
class RegionFifo:
    """A stream of the region."""

    name: str
    type: str
    depth: int


@dataclass
class Region:
    """Processes in order of the data flow."""

    body: SharedBody
    numbers: SharedNumbers
    fifos: list[RegionFifo] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    specs: list[Spec] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chains = [{stage.name: stage for stage in self.body.chain(block)} for block in self.body.blocks]
        self.depths: dict[str, int] = {}
        for chain in self.chains:
            for stream in fifos(list(chain.values())):
                self.depths[stream.name] = max(self.depths.get(stream.name, 2), stream.depth)
        self.build()

    def build(self) -> None:
        """All of it: from the stream of words read to the one of words to write."""
        folding = self.body.folding
        memory, middle = folding.memory_lanes, folding.middle_lanes
        end = self.fifo("source", beat(memory))
        self.excited = any(block.scale for block in self.body.blocks)
        if self.excited:
            main, factors = self.fifo("maps", beat(memory)), self.fifo("factors", beat(memory))
            self.put("lead", (end, factors, main), "factors_route")
            self.aligned = self.repack("factors_align", factors, memory, middle)
            end = main
        adds = any(block.add for block in self.body.blocks)
        if adds:
            main, self.skip = self.fifo("main", beat(memory)), self.fifo("skip", beat(memory))
            self.put("route", (end, main, self.skip), "fork")
            end = main
        end = self.part("expand", end, beat(memory), beat(middle), self.expand, self.past("align", memory, middle))
        end = self.part("depthwise", end, beat(middle), beat(middle), self.depthwise, lambda name: name)
        end = self.part("pool", end, beat(middle), beat(middle), self.pool, lambda name: name)
        end = self.part("scale", end, beat(middle), beat(middle), self.scale, lambda name: name)
        end = self.part("project", end, beat(middle), beat(memory), self.project, self.past("pack", middle, memory))
        self.end = self.part("add", end, beat(memory), beat(memory), self.add, lambda name: name)

    def part(
        self,
        name: str,
        end: str,
        before: str,
        after: str,
        through: Callable[[str], str],
        past: Callable[[str], str],
    ) -> str:
        """A part that all, some or no blocks have; returns the stream behind it."""
        has = [SharedNumbers.has(block)[name] for block in self.body.blocks]
        if all(has):
            return through(end)
        if not any(has):
            return past(end)
        to, around = self.fifo(f"to_{name}", before), self.fifo(f"past_{name}", before)
        self.put("route", (end, to, around), f"{name}_route")
        done = self.fifo(f"{name}_done", after)
        self.put("select", (through(to), past(around), done), f"{name}_select")
        return done

    def expand(self, end: str) -> str:
        """The first pointwise layer."""
        folding = self.body.folding
        assert folding.expand is not None
        end = self.repack("feed", end, folding.memory_lanes, folding.expand.in_lanes)
        end = self.table("expand", self.dense("expand", end, folding.expand), folding.expand.lanes)
        return self.repack("align", end, folding.expand.lanes, folding.middle_lanes)

    def depthwise(self, end: str) -> str:
        """Window and depthwise layer."""
        lanes, kernel = self.body.folding.middle_lanes, self.body.shared.kernel
        windows = [stage for stage in self.all("window") if isinstance(stage, Window)]
        rows = [stage.row_pixels * stage.input.groups for stage in windows]
        taps = beat(lanes * kernel[0] * kernel[1])
        constants = integers(
            kernel_height=kernel[0],
            kernel_width=kernel[1],
            filter_width=kernel[1],
            columns=1,
            offset=0,
            **self.groups(windows),
            row_beats=max(rows),
            least_row_beats=min(rows),
        )
        self.spec("window", (("input", beat(lanes)), ("output", taps)), constants)
        self.put("window", (end, self.fifo("windows", taps)), "window", spec="window")
        first = next(stage for stage in self.all("depthwise") if isinstance(stage, Depthwise))
        constants = (*self.arithmetic("depthwise"), *multipliers(first))
        self.spec("depthwise", (("input", taps), ("output", beat(lanes))), constants)
        result = self.fifo("depthwise_out", beat(lanes))
        self.put("depthwise", ("windows", result, *self.words("depthwise")), "depthwise", spec="depthwise")
        return self.table("depthwise", result, lanes)

    def pool(self, end: str) -> str:
        """The means of a map."""
        lanes = self.body.folding.middle_lanes
        self.one_factor("pool", (("input", beat(lanes)), ("output", beat(lanes))))
        result = self.fifo("means", beat(lanes))
        self.put("global_avg_pool", (end, result), "pool", spec="pool")
        return result

    def scale(self, end: str) -> str:
        """A map times one factor a channel."""
        lanes = self.body.folding.middle_lanes
        self.one_factor("scale", (("input", beat(lanes)), ("factors", beat(lanes)), ("output", beat(lanes))))
        result = self.fifo("scale_out", beat(lanes))
        self.put("channel_scale", (end, self.aligned, result), "scale", spec="scale")
        return result

    def one_factor(self, name: str, beats: tuple[tuple[str, str], ...]) -> None:
        """The struct of a part with one mult and shift for all channels."""
        layers = [layer for block in self.body.blocks if (layer := getattr(block, name))]
        acc_bits = max(layer.requantizer.acc_bits for layer in layers)
        self.spec(name, beats, integers(acc_bits=acc_bits, **self.groups(self.all(name))))

    def table(self, part: str, end: str, lanes: int) -> str:
        """What looks codes up behind a part, where a block wants that."""
        if part not in self.body.shared.tables:
            return end
        name = f"{part}_table"
        self.spec(name, (("input", beat(lanes)), ("output", beat(lanes))))
        result = self.fifo(f"{name}_out", beat(lanes))
        self.put("table", (end, result, f"{self.body.name}_{part}_tables"), name, spec=name)
        return result

    def project(self, end: str) -> str:
        """The second pointwise layer."""
        folding = self.body.folding
        assert folding.project is not None
        end = self.repack("gather", end, folding.middle_lanes, folding.project.in_lanes)
        end = self.table("project", self.dense("project", end, folding.project), folding.project.lanes)
        return self.repack("pack", end, folding.project.lanes, folding.memory_lanes)

    def add(self, end: str) -> str:
        """The residual add."""
        word = beat(self.body.folding.memory_lanes)
        self.spec("add", (("input_a", word), ("input_b", word), ("output", word)))
        result = self.fifo("sum", word)
        self.put("add", (self.skip, end, result), "add", spec="add")
        return result

    def past(self, name: str, lanes_in: int, lanes_out: int) -> Callable[[str], str]:
        """The way past a pointwise layer: other lanes, and another padding."""
        return lambda end: self.repack(f"{name}_past", end, lanes_in, lanes_out)

    def repack(self, name: str, end: str, lanes_in: int, lanes_out: int) -> str:
        """One repack."""
        self.spec(name, (("input", beat(lanes_in)), ("output", beat(lanes_out))))
        result = self.fifo(f"{name}_out", beat(lanes_out))
        self.put("repack", (end, result), name, spec=name)
        return result

    def dense(self, name: str, end: str, how: PointwiseFolding) -> str:
        """One pointwise layer."""
        shared = self.body.shared
        field = shared.expand_field if name == "expand" else shared.project_field
        sizes = integers(out_parallel=how.out_parallel, pair_field=field, **self.groups(self.all(name)))
        constants = (*sizes, flag("fabric", False), *self.arithmetic(name))
        self.spec(name, (("input", beat(how.in_lanes)), ("output", beat(how.lanes))), constants)
        result = self.fifo(f"{name}_out", beat(how.lanes))
        self.put("dense", (end, result, *self.words(name)), name, spec=name)
        return result

    def arithmetic(self, part: str) -> tuple[Constant, ...]:
        """Bits of weights and accumulators: the most of all blocks."""
        layers = [getattr(block, part) for block in self.body.blocks if getattr(block, part)]
        return integers(
            weight_bits=self.numbers.weight_bits[part], acc_bits=max(layer.requantizer.acc_bits for layer in layers)
        )

    def words(self, part: str) -> tuple[str, str]:
        """Where a part's weights and scales lie."""
        before = f"{self.body.name}_" if self.body.weights == "on_chip" else "bank."
        return f"{before}{part}_weights", f"{before}{part}_scales"

    def all(self, name: str) -> list[Stage]:
        """A stage of every block that has it."""
        return [chain[name] for chain in self.chains if name in chain]

    @staticmethod
    def groups(stages: Sequence[Stage]) -> dict[str, int]:
        """Most and fewest beats of a pixel."""
        groups = [stage.inputs[0].groups for stage in stages]
        return {"groups": max(groups), "least_groups": min(groups)}

    def fifo(self, name: str, type_: str) -> str:
        """A stream; as deep as the block that needs most asks for."""
        self.fifos.append(RegionFifo(name, type_, self.depths.get(name, 2)))
        return name

    def spec(self, name: str, beats: tuple[tuple[str, str], ...], constants: tuple[Constant, ...] = ()) -> None:
        """A struct that a process is instantiated with."""
        self.specs.append(Spec(name, beats, constants))

    def put(self, template: str, arguments: tuple[str, ...], layer: str, spec: str = "") -> None:
        """One more process."""
        self.processes.append(Process(template, arguments, f"block.{layer}", spec))


def beat(lanes: int) -> str:
    """C++ type of a beat of relabelled codes."""
    return f"deepdive::beat<{CODE}, {lanes}>"
