"""Through what one block of a shared body flows: all parts, and ways past those that it lacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from amaranth.hdl import C, Module, Mux, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Member, Out

from deepdive.errors import DeepDiveError
from deepdive.hardware.rtl.add import ResidualAddComponent, add_limits
from deepdive.hardware.rtl.component import StageComponent, connect
from deepdive.hardware.rtl.fifo import StreamFifo
from deepdive.hardware.rtl.limits import Limits
from deepdive.hardware.rtl.repack import RepackComponent
from deepdive.hardware.rtl.shared_convolutions import SharedDense, SharedDepthwise
from deepdive.hardware.rtl.shared_layers import Layer, Layers
from deepdive.hardware.rtl.shared_layers import unsigned as relabelled
from deepdive.hardware.rtl.shared_repack import SharedRepack, repack_limits
from deepdive.hardware.rtl.shared_squeeze import SharedPool, SharedScale
from deepdive.hardware.rtl.shared_table import SharedTable
from deepdive.hardware.rtl.shared_window import SharedWindow
from deepdive.hardware.rtl.transfer import Beats
from deepdive.hardware.rtl.window import window_limits
from deepdive.hardware.stages import (
    ChannelScale,
    Dense,
    Depthwise,
    GlobalAveragePool,
    Repack,
    ResidualAdd,
    SharedBlock,
    SharedBody,
    Stage,
    Window,
)
from deepdive.hardware.stages.shared_chain import CODE_BITS, fifos
from deepdive.hardware.stages.table import Table
from deepdive.qnet import Add, Conv, Linear, QNet

CONVOLUTIONS = ("expand", "depthwise", "project")
"""Parts with weights, in the order of the data flow."""
PARTS = (
    *("feed", "expand", "align", "align_past", "window", "depthwise", "pool", "factors_align", "scale"),
    *("gather", "project", "pack", "pack_past", "add"),
)
"""All but the tables."""
OPTIONAL = (*CONVOLUTIONS, "pool", "scale", "add")
"""Parts that a block may lack."""
PADDING = ("align_past", "factors_align", "pack_past")
"""Repacks from one padding of the channels to another."""


class SharedDatapath(wiring.Component):
    """Words of a map in, words of the next one out.

    A part that some blocks have stands between a route and a select, which are nothing but gates: the descriptor says
    which way the block's beats go. `quiet` says that no beat was left over a cycle ago of the frames that came, as far
    as that does not follow from all outputs being there. `rest` is low while a block runs. While `factors` is high
    words are no map but factors.
    """

    def __init__(self, body: SharedBody, net: QNet) -> None:
        self.body = body
        self.chains = [{role(stage, block): stage for stage in body.chain(block)} for block in body.blocks]
        self.flags = Limits([{part: int(part in chain) for part in OPTIONAL} for chain in self.chains])
        self.layers = {part: layers for part in CONVOLUTIONS if (layers := self._layers(part, net))}
        self.parts = self._parts(net)
        word = stream.Signature(unsigned(body.folding.memory_lanes * CODE_BITS))
        members: dict[str, Member] = {"input": In(word), "output": Out(word), "rest": In(1), "quiet": Out(1)}
        if "scale" in self.parts:
            members["factors"] = In(1)
        for name, part in self.parts.items():
            if part.numbers.width:
                members[f"{name}_descriptor"] = In(part.numbers.width)
        if self.flags.width:
            members["flags_descriptor"] = In(self.flags.width)
        for convolution in self.layers:
            members |= {f"{convolution}_{name}": self.parts[convolution].signature.members[name] for name in WORDS}
        super().__init__(members)

    @property
    def numbers(self) -> dict[str, Limits]:
        """What the descriptor holds, by name of the port."""
        found = {f"{name}_descriptor": part.numbers for name, part in self.parts.items() if part.numbers.width}
        return {**found, **({"flags_descriptor": self.flags} if self.flags.width else {})}

    def _stages(self, name: str) -> list[Stage | None]:
        return [chain.get(name) for chain in self.chains]

    def _layers(self, part: str, net: QNet) -> Layers | None:
        found: list[Layer | None] = []
        for stage in self._stages(part):
            if not isinstance(stage, Dense | Depthwise):
                found.append(None)
                continue
            node = next(node for node in net.nodes if node.name == stage.node)
            if not isinstance(node, Conv | Linear):
                raise DeepDiveError(
                    f"Stage '{self.body.name}' has no RTL for node '{stage.node}'; use the HLS backend."
                )
            found.append(Layer(stage, node, net.inputs_of(node)[0], self.body.shared.kernel))
        again = [self.body.weights == "on_chip" and block.repeats(part) for block in self.body.blocks]
        return Layers(found, again) if any(found) else None

    def _parts(self, net: QNet) -> dict[str, StageComponent]:
        """Every part that any block has."""
        parts: dict[str, StageComponent] = {}
        for name in (*PARTS, *(f"{part}_table" for part in self.body.shared.tables)):
            stages = self._stages(name)
            present = [stage for stage in stages if stage]
            if not present:
                continue
            first = present[0]
            if name in PADDING and isinstance(first, Repack):
                parts[name] = SharedRepack(first, filled(stages, repack_limits))
            elif isinstance(first, Repack):
                parts[name] = RepackComponent(first)
            elif isinstance(first, Window):
                pause = max((stage.pause_cycles for stage in self._stages("expand") if stage), default=0)
                parts[name] = SharedWindow(first, filled(stages, lambda stage: self._window(stage, net)), pause)
            elif isinstance(first, Table):
                parts[name] = SharedTable(first, self._rows(name), self.body, net)
            elif isinstance(first, GlobalAveragePool):
                parts[name] = SharedPool(of_kind(stages, GlobalAveragePool), net)
            elif isinstance(first, ChannelScale):
                parts[name] = SharedScale(of_kind(stages, ChannelScale), net)
            elif isinstance(first, ResidualAdd):
                parts[name] = ResidualAddComponent(first, filled(stages, lambda stage: self._add(stage, net)))
            else:
                parts[name] = (SharedDepthwise if name == "depthwise" else SharedDense)(self.layers[name])
        return parts

    def _window(self, stage: Any, net: QNet) -> dict[str, int]:
        """A block's raster, and the zero point of the map that its depthwise layer reads."""
        chain = next(chain for chain in self.chains if chain.get("window") is stage)
        depthwise = chain["depthwise"]
        assert isinstance(depthwise, Depthwise)
        node = next(node for node in net.nodes if node.name == depthwise.node)
        return {**window_limits(stage), "zero_point": relabelled(net.inputs_of(node)[0]).uniform_zero_point}

    def _rows(self, name: str) -> Limits:
        """Which of a part's tables each block reads."""
        part = name.removesuffix("_table")
        tables = self.body.tables(part)
        layers = [getattr(block, part) for block in self.body.blocks]
        return Limits([{"table": tables.index(layer.table) if layer else 0} for layer in layers])

    def _add(self, stage: Any, net: QNet) -> dict[str, int]:
        """The skipped map first, whatever the network's order is."""
        node = next(node for node in net.nodes if node.name == stage.node)
        assert isinstance(node, Add)
        block = next(block for block in self.body.blocks if block.add == stage.node)
        first = next(n for n in net.nodes if n.name == block.nodes[0])
        a, b = net.inputs_of(node)
        up = -node.output.q_min
        found = add_limits(node, (relabelled(a), relabelled(b)))
        found |= {
            "q_min": node.q_min + up,
            "q_max": node.q_max + up,
            "constant": found["constant"] + (up << node.shift),
        }
        if node.inputs[0] != first.inputs[0]:
            found |= {"mult_a": found["mult_b"], "mult_b": found["mult_a"]}
        return found

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, part in self.parts.items():
            m.submodules[name] = part
            if part.numbers.width:
                m.d.comb += part.descriptor.eq(getattr(self, f"{name}_descriptor"))
        for convolution in self.layers:
            for name in WORDS:
                inside, outside = getattr(self.parts[convolution], name), getattr(self, f"{convolution}_{name}")
                into = self.parts[convolution].signature.members[name].flow == In
                m.d.comb += inside.eq(outside) if into else outside.eq(inside)
        end, skip = self._fork(m, self._ahead(m))
        end = self._choose(
            m, "expand", end, lambda x: self._through(m, x, "feed", *self._layer("expand"), "align"), "align_past"
        )
        end = self._fifo(m, "align_out", end)
        end = self._choose(
            m, "depthwise", end, lambda x: self._through(m, x, "window", *self._layer("depthwise"), buffered=True)
        )
        end = self._choose(m, "pool", end, lambda x: self._through(m, x, "pool", buffered=True))
        end = self._choose(m, "scale", end, lambda x: self._through(m, x, "scale", buffered=True))
        end = self._choose(
            m, "project", end, lambda x: self._through(m, x, "gather", *self._layer("project"), "pack"), "pack_past"
        )
        end = self._fifo(m, "pack_out", end)
        end = self._choose(m, "add", end, lambda x: self._sum(m, x, skip))
        connect(m, end, self.output)
        self._quiet(m)
        return m

    def flags_word(self) -> Value | None:
        """The descriptor's word of flags, if blocks differ in them."""
        return self.flags_descriptor if self.flags.width else None

    def _quiet(self, m: Module) -> None:
        quiet: Value = C(1)
        if "window" in self.parts:
            m.d.comb += self.parts["window"].rest.eq(self.rest)
            quiet = quiet & self.parts["window"].between_frames
        for name in PADDING:
            if name in self.parts:
                quiet = quiet & self.parts[name].between_pixels
        # A register: what follows from it is as deep again. None comes any more when all outputs are there.
        m.d.sync += self.quiet.eq(quiet)

    def _fifo(self, m: Module, name: str, source: Any) -> Any:
        """As deep as the block that needs most asks for."""
        chains = [self.body.chain(block) for block in self.body.blocks]
        depth = max(stream.depth for chain in chains for stream in fifos(chain) if stream.name == name)
        m.submodules[f"{name}_fifo"] = fifo = StreamFifo(len(source.payload), depth)
        connect(m, source, fifo.input)
        return fifo.output

    def _layer(self, part: str) -> tuple[str, ...]:
        """A part, and what looks its codes up."""
        return (part, f"{part}_table") if part in self.body.shared.tables else (part,)

    def _through(self, m: Module, source: Any, *names: str, buffered: bool = False) -> Any:
        """A row of parts with FIFOs between, and behind the last one if `buffered`."""
        for name in names:
            part = self.parts[name]
            connect(m, source, part.input0)
            last = name == names[-1] and not buffered
            source = part.output0 if last else self._fifo(m, part.contract.outputs[0].name, part.output0)
        return source

    def _choose(self, m: Module, part: str, source: Any, through: Callable[[Any], Any], past: str | None = None) -> Any:
        """Route and select: through `part` and those around it for blocks that have it, past them for others."""
        has = self.flags.values(self.flags_word())[part]
        if isinstance(has, int):
            return through(source) if has else self._through(m, source, past) if past else source
        ways = [Beats.like(source, f"{part}_{name}") for name in ("way", "past")]
        for way, taken in zip(ways, (has, ~has), strict=True):
            m.d.comb += [way.payload.eq(source.payload), way.valid.eq(source.valid & taken)]
        m.d.comb += source.ready.eq(Mux(has, ways[0].ready, ways[1].ready))
        ends = [through(ways[0]), self._through(m, ways[1], past) if past else ways[1]]
        chosen = Beats.like(ends[0], f"{part}_chosen")
        m.d.comb += [
            chosen.payload.eq(Mux(has, ends[0].payload, ends[1].payload)),
            chosen.valid.eq(Mux(has, ends[0].valid, ends[1].valid)),
            ends[0].ready.eq(chosen.ready & has),
            ends[1].ready.eq(chosen.ready & ~has),
        ]
        return chosen

    def _ahead(self, m: Module) -> Any:
        """The words of the map; those in front of them, which are factors, wait in a FIFO."""
        if "scale" not in self.parts:
            return self.input
        maps, factors = (Beats.like(self.input, name) for name in ("maps", "factors"))
        m.d.comb += [
            maps.payload.eq(self.input.payload),
            factors.payload.eq(self.input.payload),
            maps.valid.eq(self.input.valid & ~self.factors),
            factors.valid.eq(self.input.valid & self.factors),
            self.input.ready.eq(Mux(self.factors, factors.ready, maps.ready)),
        ]
        factors = self._through(m, self._fifo(m, "factors", factors), "factors_align", buffered=True)
        connect(m, factors, self.parts["scale"].input1)
        return maps

    def _fork(self, m: Module, source: Any) -> tuple[Any, Any]:
        """The way through the block, and the one past it to its residual add."""
        adds = self.flags.values(self.flags_word())["add"]
        if isinstance(adds, int) and not adds:
            return source, None
        main, skip = (Beats.like(source, name) for name in ("main", "skip"))
        room = skip.ready if isinstance(adds, int) else skip.ready | ~adds
        m.d.comb += [
            main.payload.eq(source.payload),
            skip.payload.eq(source.payload),
            main.valid.eq(source.valid & room),
            skip.valid.eq(source.valid & main.ready & adds),
            source.ready.eq(main.ready & room),
        ]
        return self._fifo(m, "main", main), self._fifo(m, "skip", skip)

    def _sum(self, m: Module, end: Any, skip: Any) -> Any:
        """The residual add."""
        part = self.parts["add"]
        connect(m, skip, part.input0)
        connect(m, end, part.input1)
        return self._fifo(m, "sum", part.output0)


WORDS = ("enable", "weights_address", "weights_word", "scales_address", "scales_word")
"""Ports of a convolution that go outside."""


def role(stage: Stage, block: SharedBlock) -> str:
    """A part's name; a repack past a missing pointwise layer has other lanes, and is another part."""
    past = {"align": block.expand is None, "pack": block.project is None}
    return f"{stage.name}_past" if past.get(stage.name) else stage.name


Kind = TypeVar("Kind", bound=Stage)


def of_kind(stages: Sequence[Stage | None], kind: type[Kind]) -> list[Kind | None]:
    """A stage a block; None for a block without."""
    return [stage if isinstance(stage, kind) else None for stage in stages]


def filled(stages: Sequence[Stage | None], of: Callable[[Any], dict[str, int]]) -> Limits:
    """One mapping a block; a block without the part has the one of any other."""
    present = [of(stage) for stage in stages if stage]
    rest = iter(present)
    return Limits([next(rest) if stage else present[0] for stage in stages])
