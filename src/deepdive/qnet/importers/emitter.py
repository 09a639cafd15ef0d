"""From what is known of a foreign tensor to operators of the integer network, once its codes are known."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from deepdive.errors import DeepDiveError
from deepdive.qnet.dyadic import MAX_MULT, dyadic
from deepdive.qnet.feature_map import MAX_ELEMENTS, FeatureMap
from deepdive.qnet.importers.values import (
    Affine,
    Bounds,
    Dims,
    Function,
    Grid,
    Joined,
    Pool,
    Raw,
    Sum,
    Value,
    Weights,
    function_of,
    meaning,
)
from deepdive.qnet.onnx_writer import Names
from deepdive.qnet.ops import (
    INT32_MAX,
    Add,
    AvgPool,
    ChannelScale,
    Concat,
    Conv,
    Flatten,
    GlobalAvgPool,
    Linear,
    Node,
    Requantize,
    Rounding,
    Table,
)

BIAS_ERROR = 1 / 256
"""Of an output code: what rounding the biases may cost on average."""
TIES = 1 << 6
MAX_TOTAL_ELEMENTS = 1 << 30
"""Of all feature maps of one image together."""


def map_shape(dims: Dims) -> tuple[int, int, int]:
    """(height, width, channels) of (channels, height, width) or (features,)."""
    if len(dims) not in (1, 3) or any(size < 1 for size in dims) or math.prod(dims) > MAX_ELEMENTS:
        raise DeepDiveError(f"it writes {dims}; want (channels, height, width) or (features,), not too large")
    return (dims[1], dims[2], dims[0]) if len(dims) == 3 else (1, 1, dims[0])


@dataclass(frozen=True)
class Origin:
    """The foreign tensor whose codes a feature map holds; `order` as in `Function`."""

    tensor: str
    dims: Dims
    order: Dims | None


class Emitter:
    """Collects the network's input and nodes.

    Parameters
    ----------
    keep_bits
        Never give weights more bits so that a bias is met more finely.
    """

    def __init__(self, keep_bits: bool) -> None:
        self.keep_bits = keep_bits
        self.widened: list[str] = []
        self.input: FeatureMap | None = None
        self.nodes: list[Node] = []
        self.names = Names(())
        self.origins: dict[str, Origin] = {}
        self.elements = 0

    def emit(self, node: Node) -> FeatureMap:
        """Add a node."""
        self.elements += math.prod(node.output.shape)
        if self.elements > MAX_TOTAL_ELEMENTS:
            raise DeepDiveError(f"all feature maps together hold more than {MAX_TOTAL_ELEMENTS} elements")
        self.nodes.append(node)
        return node.output

    def quantize(self, value: Value, grid: Grid, tensor: str) -> Function:
        """The codes of a value on `grid`, under the name of the foreign `tensor` that holds them."""
        if isinstance(value, Raw):
            result = self.quantize_input(value, grid, tensor)
        elif isinstance(value, Function):
            result = self.table(value, grid, tensor)
        elif isinstance(value, Affine):
            result = function_of(self.affine(value, grid, tensor), value.dims)
        elif isinstance(value, Sum):
            result = function_of(self.sum(value, grid, tensor), value.dims)
        elif isinstance(value, Joined):
            result = self.join(value, grid, tensor)
        else:
            raise DeepDiveError("it quantizes constants or codes; want real numbers that depend on the input")
        assert result.map is not None
        self.origins.setdefault(result.map.name, Origin(tensor, result.dims, result.order))
        return result

    def quantize_input(self, value: Raw, grid: Grid, tensor: str) -> Function:
        if self.input is not None:
            raise DeepDiveError("the graph's input is quantized twice; quantize it once and share the result")
        self.input = grid.feature_map(self.names.new(tensor), map_shape(value.dims))
        if not grid.same_codes(self.input):
            raise DeepDiveError("the graph's input uses less than all codes of its bits (narrow); use them all")
        return function_of(self.input, value.dims)

    def quantize_pixels(self, value: Raw, grids: list[Grid], tensor: str) -> Function:
        """The graph's input with a zero point a channel, as the integer network takes raw pixels."""
        whole = self.quantize_input(value, grids[0], tensor)
        self.input = replace(whole.root, zero_point=tuple(grid.zero_point for grid in grids))
        return Function(value.dims, self.input, np.zeros(0), self.input)

    def table(self, value: Function, grid: Grid, tensor: str) -> Function:
        """A table, or nothing at all when the codes are the same already."""
        value.check_uniform()
        if value.map is not None and grid.same_codes(value.map):
            return value
        if not np.isfinite(value.values).all():
            raise DeepDiveError("what it quantizes is not finite for every code of its input")
        codes = grid.codes(value.values)
        output = grid.feature_map(self.names.new(tensor), value.root.shape)
        self.emit(Table(value.root.name, output, codes.astype(output.dtype)))
        # What the codes mean as a function of the root: two such functions can be multiplied into one table.
        real = grid.scale * (codes - grid.zero_point)
        return Function(value.dims, value.root, real, output, value.order)

    def affine(self, value: Affine, grid: Grid, tensor: str) -> FeatureMap:
        output = grid.feature_map(self.names.new(tensor), map_shape(value.dims))
        if isinstance(value.how, Weights):
            node, widened = weighted(value, value.how, grid, output, keep_bits=self.keep_bits)
            if widened:
                self.widened.append(f"'{output.name}' ({value.how.bits} to {value.how.bits + widened})")
            return self.emit(node)
        constant = np.abs(value.offset).max() > BIAS_ERROR * grid.scale
        if constant or (value.gain < 0).any() or value.gain.size > 1:
            raise DeepDiveError("what it adds to a pool or product, or scales it by, has no integer form")
        pool = value.how
        gain = value.gain
        exact = self.exact_pool(value, grid, output)
        if exact:
            return exact
        if isinstance(pool, Pool) and pool.exclude_padding:
            gain = gain / np.arange(1, pool.kernel[0] * pool.kernel[1] + 1)
        how = requantize(gain, grid, value.bounds)
        if (
            len(value.reads) == 1
            and how.rounding == "half_up"
            and grid.rounding != "HALF_UP"
            and ties(gain / grid.scale)
        ):
            how = replace(how, rounding="half_even")
        if isinstance(pool, Pool):
            return self.emit(AvgPool(value.reads[0].name, output, how, pool.kernel, pool.stride, pool.padding))
        if len(value.reads) == 2:
            return self.emit(ChannelScale((value.reads[0].name, value.reads[1].name), output, how))
        return self.emit(GlobalAvgPool(value.reads[0].name, output, how))

    def exact_pool(self, value: Affine, grid: Grid, output: FeatureMap) -> FeatureMap | None:
        """A pool of few, short codes: their sum has 8 bits, and a table rounds it as the source does, half to even."""
        x, pool = value.reads[0], value.how
        if len(value.reads) != 1 or (isinstance(pool, Pool) and pool.exclude_padding):
            return None
        taps = math.prod(pool.kernel if isinstance(pool, Pool) else x.shape[:2])
        low, high = taps * (x.q_min - x.uniform_zero_point), taps * (x.q_max - x.uniform_zero_point)
        if high - low > 255:
            return None
        step = float(value.gain[0])
        name = self.names.new(f"{output.name}_sum")
        total = FeatureMap(name, output.shape, 8, False, step, -low)
        how = Requantize(np.array([2], np.uint16), np.array([1], np.uint8), 0, 255, "floor")
        if isinstance(pool, Pool):
            self.emit(AvgPool(x.name, total, how, pool.kernel, pool.stride, pool.padding))
        else:
            self.emit(GlobalAvgPool(x.name, total, how))
        numbers = np.clip(meaning(total), value.bounds.low, value.bounds.high)
        return self.emit(Table(name, output, grid.codes(numbers).astype(output.dtype)))

    def sum(self, value: Sum, grid: Grid, tensor: str) -> FeatureMap:
        output = grid.feature_map(self.names.new(tensor), map_shape(value.dims))
        if abs(value.offset) > BIAS_ERROR * grid.scale:
            raise DeepDiveError("what it adds to a sum has no integer form; add it before or after, quantized")
        factors = np.array(value.scales) / grid.scale
        check_factors(factors)
        _, shift = dyadic(factors.max())
        mult, _ = dyadic(factors, np.broadcast_to(shift, (2,)))
        q_min, q_max = clip(grid, value.bounds)
        names = (value.a.name, value.b.name)
        mults = (int(mult[0]), int(mult[1]))
        return self.emit(Add(names, output, mults, int(shift), q_min, q_max, rounding(grid)))

    def join(self, value: Joined, grid: Grid, tensor: str) -> Function:
        """Tables where a part's codes differ from the grid's, then the parts one after the other."""
        if not value.bounds.free:
            parts = [part.applied(np.clip(part.values, value.bounds.low, value.bounds.high)) for part in value.parts]
        else:
            parts = list(value.parts)
        maps = []
        for index, part in enumerate(parts):
            found = self.table(part, replace(grid), f"{tensor}_part{index}").map
            assert found is not None
            maps.append(found)
        whole = maps[0]
        for index, other in enumerate(maps[1:], start=2):
            name = self.names.new(tensor if index == len(maps) else f"{tensor}_first{index}")
            shape = (*whole.shape[:2], whole.shape[2] + other.shape[2])
            whole = self.emit(Concat((whole.name, other.name), grid.feature_map(name, shape)))
        return function_of(whole, value.dims)

    def flatten(self, value: Function, tensor: str) -> Function:
        """A map as a vector, row by row and channels innermost; `order` tells what ONNX makes of it."""
        assert len(value.dims) == 3
        source = value.map or value.root
        dims = (math.prod(value.dims),)
        if value.dims[1:] == (1, 1):
            return replace(value, dims=dims)
        shape = (1, 1, dims[0])
        flat = self.emit(Flatten(source.name, replace(source, name=self.names.new(tensor), shape=shape)))
        order = value.dims if value.dims[0] > 1 else None
        if value.map is None:
            return Function(dims, flat, value.values, None, order)
        return function_of(flat, dims, order)

    def finished(self, output: FeatureMap) -> tuple[Node, ...]:
        """The nodes that the output depends on, in order."""
        wanted, kept = {output.name}, []
        for node in reversed(self.nodes):
            if node.name in wanted:
                wanted.update(node.inputs)
                kept.append(node)
        return tuple(reversed(kept))


def check_factors(factors: np.ndarray) -> None:
    """Refuse a change of scale that no 16-bit multiplier makes."""
    if not np.isfinite(factors).all() or factors.max() > MAX_MULT / 2:
        raise DeepDiveError(f"its scales differ by a factor of {factors.max():.6g}; at most {MAX_MULT / 2}")


def ties(factors: np.ndarray) -> bool:
    """Whether so many sums lie exactly between two codes that it matters which way they go.

    A factor of k / 2**n has a tie in 2**n sums, and half of those go another way to the even code: 0.8 % for n = 6.
    """
    steps = factors * TIES
    return bool((np.abs(steps - np.rint(steps)) < 1e-6 * steps).any() and (factors != np.rint(factors)).any())


def rounding(grid: Grid) -> Rounding:
    """The contract's rounding nearest to the grid's; half to even becomes half up, but for some pools (see `ties`)."""
    if grid.rounding in ("ROUND", "HALF_EVEN", "HALF_UP"):
        return "half_up"
    if grid.rounding in ("FLOOR", "DOWN"):
        return "floor"
    raise DeepDiveError(f"rounding mode {grid.rounding} is not imported here; use ROUND or FLOOR")


def clip(grid: Grid, bounds: Bounds) -> tuple[int, int]:
    """The grid's codes within the bounds."""
    low = max(grid.q_min, min(grid.q_max, grid.code_of(bounds.low))) if np.isfinite(bounds.low) else grid.q_min
    high = min(grid.q_max, max(low, grid.code_of(bounds.high))) if np.isfinite(bounds.high) else grid.q_max
    return int(low), int(high)


def requantize(gain: np.ndarray, grid: Grid, bounds: Bounds) -> Requantize:
    """From accumulators that mean `gain` each to the grid's codes."""
    factors = gain / grid.scale
    check_factors(factors)
    mult, shift = dyadic(factors)
    return Requantize(mult, shift, *clip(grid, bounds), rounding(grid))


def weighted(value: Affine, how: Weights, grid: Grid, output: FeatureMap, *, keep_bits: bool) -> tuple[Node, int]:
    """A convolution or linear layer, and how many bits its weights gained; negative gains turn the weights' signs."""
    channels = how.codes.shape[0]
    gain, offset = (np.broadcast_to(part, (channels,)).copy() for part in (value.gain, value.offset))
    if not (np.isfinite(gain).all() and np.isfinite(offset).all()):
        raise DeepDiveError("its scales or biases are not finite")
    how = without_idle(replace(how, codes=how.codes.copy(), zero_point=how.zero_point.copy()), gain, offset, grid)
    how = turned(how, gain < 0)
    gain = np.abs(gain)
    more = 0 if keep_bits else finer_bits(how, gain, offset, grid)
    gain /= 1 << more
    codes, zero_point = np.ascontiguousarray(how.codes << more), how.zero_point << more
    bias = np.rint(offset / gain)
    if np.abs(bias).max() > INT32_MAX:
        raise DeepDiveError("a bias leaves int32; its scale is far smaller than its bias")
    bias = bias.astype(np.int32)
    requantized = requantize(gain, grid, value.bounds)
    name, bits = value.reads[0].name, how.bits + more
    if how.linear:
        return Linear(name, output, codes[:, 0, 0, :], bits, bias, requantized, zero_point), more
    return (
        Conv(name, output, codes, bits, bias, requantized, zero_point, how.stride, how.padding, how.groups),
        more,
    )


def finer_bits(how: Weights, gain: np.ndarray, offset: np.ndarray, grid: Grid) -> int:
    """How many bits more the weights need for the accumulator to meet real-valued biases.

    A step of the accumulator is a good part of an output code where weights and inputs have few bits. A bias that is
    off by that share of a code moves as many of the elements to the next code.
    """
    for more in range(9 - how.bits):
        steps = offset / gain * (1 << more)
        if np.mean(np.abs(steps - np.rint(steps)) * gain) / (1 << more) <= BIAS_ERROR * grid.scale:
            return more
    return 8 - how.bits


def without_idle(how: Weights, gain: np.ndarray, offset: np.ndarray, grid: Grid) -> Weights:
    """Channels that their accumulator cannot move by a quarter code: weights of zero, and a gain that carries the bias.

    Changes `how`, `gain` in place. Such channels come from batch norms or weights of (almost) zero.
    """
    centred = np.abs(how.codes.astype(np.int32) - how.zero_point[:, None, None, None])
    largest = centred.sum(axis=(1, 2, 3), dtype=np.int64) * 255.0
    idle = largest * np.abs(gain) < grid.scale / 4
    how.codes[idle] = how.zero_point[idle][:, None, None, None].astype(how.codes.dtype)
    gain[idle] = np.maximum(np.abs(offset[idle]) / (1 << 20), grid.scale / (1 << 10))
    return how


def turned(how: Weights, negative: np.ndarray) -> Weights:
    """The weights with the sign of some output channels turned around."""
    if not negative.any():
        return how
    codes, zero_point = how.codes.astype(np.int32), how.zero_point.astype(np.int32)
    signed = how.codes.dtype == np.int8
    lowest = -(1 << (how.bits - 1)) if signed else 0
    if signed and not zero_point.any() and codes.min() > lowest:
        codes[negative] *= -1
        return replace(how, codes=codes.astype(np.int8))
    # As unsigned codes, mirrored: the zero point is mirrored with them.
    highest = (1 << how.bits) - 1
    codes, zero_point = codes - lowest, zero_point - lowest
    codes[negative], zero_point[negative] = highest - codes[negative], highest - zero_point[negative]
    return replace(how, codes=codes.astype(np.uint8), zero_point=zero_point.astype(np.int16))
