"""What each operator means to a stranger: ONNX functions whose bodies compute the contract with standard operators.

Any runtime that knows ONNX opset 18 executes them, bit for bit as `deepdive.qnet.reference` does, because no step can
round where the contract does not:

- Tensors are NCHW. Codes less their zero point have 9 bits, one too many for `ConvInteger`, so both sides of a
  convolution are split into a positive and a negative uint8 part and four convolutions are taken together. uint8 times
  uint8 never saturates (MLAS' uint8 times int8 kernels may, on processors without VNNI), and padding is plain zero.
- An accumulator (32 bits) times ``mult / 2**shift`` (16 significant bits) and the rounding offset fit the 53 bits of a
  double, so `Mul`, `Add` and `Floor` are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import onnx
from onnx import parser

DOMAIN = "deepdive"
DOMAIN_VERSION = 1
OPSET = 18
IR_VERSION = 8

OUTPUT = {"zero_point": "int", "bits": "int", "dtype": "int", "scale": "string"}
"""Attributes of every operator: its output's type; `dtype` is ONNX's (2 uint8, 3 int8), `scale` a decimal double."""
CLIP = {"q_min": "int", "q_max": "int", "rounding_offset": "float"}
"""Attributes of every operator that rounds; `rounding_offset` is 0.5 (half-up) or 0 (floor)."""
POOL_CLIP = CLIP | {"half_even": "int"}
"""Of a pool; `half_even` is 1 (with the offset 0.5) or 0."""
WINDOW = {"kernel_shape": "ints", "strides": "ints", "pads": "ints"}
"""Attributes of every pool."""


@dataclass(frozen=True)
class Signature:
    """Inputs, attributes and body of one operator.

    Parameters
    ----------
    maps
        Formal names of the feature maps read.
    tensors
        Formal names of the initializers read, after the maps, and the rank of each.
    attributes
        Name to kind: int, ints, float or string. A node carries all of them and no other.
    body
        In ONNX's text format; writes ``y``.
    """

    maps: tuple[str, ...]
    tensors: dict[str, int]
    attributes: dict[str, str]
    body: str


def centre(name: str) -> str:
    """``{name}_centred``: int32, codes of `name` less their zero point (one, or one a channel)."""
    return f"""
  {name}_zero = Constant <value_ints: ints = @{name}_zero_point> ()
  {name}_zero_wide = Cast <to = 6> ({name}_zero)
  {name}_zero_map = Unsqueeze ({name}_zero_wide, plane)
  {name}_wide = Cast <to = 6> ({name})
  {name}_centred = Sub ({name}_wide, {name}_zero_map)"""


def split(name: str) -> str:
    """``{name}_pos - {name}_neg``, both uint8, is ``{name}_centred``."""
    return f"""
  {name}_pos_wide = Max ({name}_centred, nil)
  {name}_pos = Cast <to = 2> ({name}_pos_wide)
  {name}_minus = Sub (nil, {name}_centred)
  {name}_neg_wide = Max ({name}_minus, nil)
  {name}_neg = Cast <to = 2> ({name}_neg_wide)"""


def centre_weight(codes: str) -> str:
    """``weight_centred``: int32 OIHW, `codes` (OIHW) less one zero point an output channel."""
    return f"""
  weight_zero_wide = Cast <to = 6> (weight_zero_point)
  weight_zero_axes = Constant <value = int64[3] {{1, 2, 3}}> ()
  weight_zero = Unsqueeze (weight_zero_wide, weight_zero_axes)
  weight_wide = Cast <to = 6> ({codes})
  weight_centred = Sub (weight_wide, weight_zero)"""


def convolve(options: str) -> str:
    """``acc``: int32, from the parts of x and weight, and the bias."""
    pairs = [(x, w) for x in ("pos", "neg") for w in ("pos", "neg")]
    products = "".join(f"\n  {x}_{w} = ConvInteger <{options}> (x_{x}, weight_{w})" for x, w in pairs)
    return f"""{products}
  pos = Sub (pos_pos, pos_neg)
  neg = Sub (neg_pos, neg_neg)
  product = Sub (pos, neg)
  bias_map = Unsqueeze (bias, plane)
  acc = Add (product, bias_map)"""


POWER = """
  one = Constant <value = uint64 {1}> ()
  shift_wide = Cast <to = 13> (shift)
  power_wide = BitShift <direction = "LEFT"> (one, shift_wide)
  power = Cast <to = 11> (power_wide)"""
"""``power``: double, ``2**shift``."""

FACTOR = f"""{POWER}
  mult_wide = Cast <to = 11> (mult)
  factor = Div (mult_wide, power)"""
"""``factor``: double, ``mult / 2**shift``, one or one a channel."""

ROUND = """
  offset_float = Constant <value_float: float = @rounding_offset> ()
  offset = Cast <to = 11> (offset_float)
  shifted = Add (scaled, offset)
  floored = Floor (shifted)
  zero_int = Constant <value_int: int = @zero_point> ()
  zero = Cast <to = 11> (zero_int)
  moved = Add (floored, zero)
  q_min_int = Constant <value_int: int = @q_min> ()
  q_min = Cast <to = 11> (q_min_int)
  q_max_int = Constant <value_int: int = @q_max> ()
  q_max = Cast <to = 11> (q_max_int)
  clipped = Clip (moved, q_min, q_max)
  y = Cast <to: int = @dtype> (clipped)"""
"""``y`` from ``scaled``, the double that is still to be rounded, moved and clipped."""

ROUND_TIES = ROUND.replace(
    "  floored = Floor (shifted)",
    """  floored_up = Floor (shifted)
  tie_bool = Equal (floored_up, shifted)
  tie = Cast <to = 11> (tie_bool)
  two = Constant <value = double {2}> ()
  odd = Mod <fmod = 1> (floored_up, two)
  odd_size = Abs (odd)
  to_even_int = Constant <value_int: int = @half_even> ()
  to_even = Cast <to = 11> (to_even_int)
  odd_tie = Mul (tie, odd_size)
  excess = Mul (odd_tie, to_even)
  floored = Sub (floored_up, excess)""",
)
"""The same, with a choice: with `half_even` 1, what lies exactly between two codes goes to the even number."""

REQUANTIZE = f"""{FACTOR}
  factor_map = Unsqueeze (factor, plane)
  acc_wide = Cast <to = 11> (acc)
  scaled = Mul (acc_wide, factor_map){ROUND}"""
"""``y`` from ``acc``."""

PLANE = """
  plane = Constant <value = int64[2] {1, 2}> ()"""
"""A vector (C) unsqueezed by these axes is (C, 1, 1), which broadcasts over NCHW."""

NIL = """
  nil = Constant <value = int32 {0}> ()"""

WINDOW_SUMS = """
  ones_of = Constant <value_ints: ints = @kernel_shape> ()
  single = Constant <value = int64[1] {1}> ()
  channels = Constant <value_int: int = @channels> ()
  channels_list = Reshape (channels, single)
  ones_shape = Concat <axis = 0> (channels_list, single, ones_of)
  ones = ConstantOfShape <value = uint8[1] {1}> (ones_shape)
  pos = ConvInteger <strides: ints = @strides, pads: ints = @pads, group: int = @channels> (x_pos, ones)
  neg = ConvInteger <strides: ints = @strides, pads: ints = @pads, group: int = @channels> (x_neg, ones)
  acc = Sub (pos, neg)"""
"""``acc``: int32, the sum of each window of x."""

FACTOR_BY_COUNT = """
  map_shape = Shape <start = 2> (x)
  inside_shape = Concat <axis = 0> (single, single, map_shape)
  inside = ConstantOfShape <value = uint8[1] {1}> (inside_shape)
  window_shape = Concat <axis = 0> (single, single, ones_of)
  window = ConstantOfShape <value = uint8[1] {1}> (window_shape)
  count = ConvInteger <strides: ints = @strides, pads: ints = @pads> (inside, window)
  entries = Size (factor)
  entries_wide = Cast <to = 6> (entries)
  nth = Min (count, entries_wide)
  first = Constant <value = int32 {1}> ()
  index = Sub (nth, first)
  factor_map = Gather <axis = 0> (factor, index)"""
"""``factor_map``: the one ``factor``, or that of as many taps as each window has inside the map."""

PARAMETERS = {"weight_zero_point": 1, "bias": 1, "mult": 1, "shift": 1}

SIGNATURES = {
    "Conv": Signature(
        ("x",),
        {"weight": 4} | PARAMETERS,
        {"x_zero_point": "ints", "strides": "ints", "pads": "ints", "group": "int", "weight_bits": "int"}
        | CLIP
        | OUTPUT,
        PLANE
        + NIL
        + centre("x")
        + split("x")
        + centre_weight("weight")
        + split("weight")
        + convolve("strides: ints = @strides, pads: ints = @pads, group: int = @group")
        + REQUANTIZE,
    ),
    "Linear": Signature(
        ("x",),
        {"weight": 2} | PARAMETERS,
        {"x_zero_point": "ints", "weight_bits": "int"} | CLIP | OUTPUT,
        PLANE
        + NIL
        + centre("x")
        + split("x")
        + """
  kernel_axes = Constant <value = int64[2] {2, 3}> ()
  weight_map = Unsqueeze (weight, kernel_axes)"""
        + centre_weight("weight_map")
        + split("weight")
        + convolve("kernel_shape = [1, 1]")
        + REQUANTIZE,
    ),
    "Add": Signature(
        ("a", "b"),
        {},
        {"a_zero_point": "ints", "b_zero_point": "ints", "a_mult": "int", "b_mult": "int", "shift": "int"}
        | CLIP
        | OUTPUT,
        PLANE
        + centre("a")
        + centre("b")
        + """
  a_mult_int = Constant <value_int: int = @a_mult> ()
  a_mult = Cast <to = 6> (a_mult_int)
  a_scaled = Mul (a_centred, a_mult)
  b_mult_int = Constant <value_int: int = @b_mult> ()
  b_mult = Cast <to = 6> (b_mult_int)
  b_scaled = Mul (b_centred, b_mult)
  sum = Add (a_scaled, b_scaled)
  sum_wide = Cast <to = 11> (sum)
  shift = Constant <value_int: int = @shift> ()"""
        + POWER
        + """
  scaled = Div (sum_wide, power)"""
        + ROUND,
    ),
    "GlobalAvgPool": Signature(
        ("x",),
        {"mult": 1, "shift": 1},
        {"x_zero_point": "ints"} | POOL_CLIP | OUTPUT,
        PLANE
        + centre("x")
        + """
  window = Constant <value = int64[2] {2, 3}> ()
  acc = ReduceSum <keepdims = 1> (x_centred, window)"""
        + REQUANTIZE.replace(ROUND, ROUND_TIES),
    ),
    "ChannelScale": Signature(
        ("x", "factors"),
        {"mult": 1, "shift": 1},
        {"x_zero_point": "ints", "factors_zero_point": "ints"} | CLIP | OUTPUT,
        PLANE
        + centre("x")
        + centre("factors")
        + """
  acc = Mul (x_centred, factors_centred)"""
        + REQUANTIZE,
    ),
    "Table": Signature(
        ("x",),
        {"values": 1},
        {"first_code": "int"} | OUTPUT,
        """
  first_int = Constant <value_int: int = @first_code> ()
  first = Cast <to = 6> (first_int)
  x_wide = Cast <to = 6> (x)
  index = Sub (x_wide, first)
  y = Gather <axis = 0> (values, index)""",
    ),
    "MaxPool": Signature(
        ("x",),
        {},
        WINDOW | OUTPUT,
        """
  y = MaxPool <kernel_shape: ints = @kernel_shape, strides: ints = @strides, pads: ints = @pads> (x)""",
    ),
    "AvgPool": Signature(
        ("x",),
        {"mult": 1, "shift": 1},
        {"x_zero_point": "ints", "channels": "int"} | WINDOW | POOL_CLIP | OUTPUT,
        PLANE
        + NIL
        + centre("x")
        + split("x")
        + WINDOW_SUMS
        + FACTOR
        + FACTOR_BY_COUNT
        + """
  acc_wide = Cast <to = 11> (acc)
  scaled = Mul (acc_wide, factor_map)"""
        + ROUND_TIES,
    ),
    "Concat": Signature(
        ("a", "b"),
        {},
        OUTPUT,
        """
  y = Concat <axis = 1> (a, b)""",
    ),
    "Flatten": Signature(
        ("x",),
        {},
        OUTPUT,
        """
  nhwc = Transpose <perm = [0, 2, 3, 1]> (x)
  vector = Constant <value = int64[4] {0, -1, 1, 1}> ()
  y = Reshape (nhwc, vector)""",
    ),
    "Pad": Signature(
        ("x",),
        {},
        {"pads": "ints"} | OUTPUT,
        """
  pads = Constant <value_ints: ints = @pads> ()
  zero_int = Constant <value_int: int = @zero_point> ()
  zero = CastLike (zero_int, x)
  sides = Constant <value = int64[2] {2, 3}> ()
  y = Pad (x, pads, zero, sides)""",
    ),
}
"""By operator type, in domain `deepdive`; `onnx_nodes` maps them to and from `deepdive.qnet.ops`."""


@cache
def function(op_type: str) -> onnx.FunctionProto:
    """The ONNX function of one operator; callers must not change it."""
    signature = SIGNATURES[op_type]
    return parser.parse_function(
        f'<domain: "{DOMAIN}", opset_import: ["" : {OPSET}]>\n'
        f"{op_type} <{', '.join(signature.attributes)}> ({', '.join((*signature.maps, *signature.tensors))}) => (y)\n"
        f"{{{signature.body}\n}}"
    )
