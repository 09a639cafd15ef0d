"""The stages' contracts against figures made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from deepdive.hardware.memory import total
from deepdive.hardware.resources import Resources
from deepdive.hardware.stages import (
    AnyStage,
    Concat,
    Dense,
    Depthwise,
    Fork,
    GlobalAveragePool,
    PixelPair,
    Repack,
    Requantizer,
    ResidualAdd,
    Stage,
    Window,
)
from deepdive.hardware.stages.arithmetic import Column, fabric_multiplier_luts, field_terms, pair_field, tree_luts
from deepdive.hardware.stages.pixel_pair import waiting_beats
from deepdive.hardware.stages.stage import PIPELINE_CYCLES
from deepdive.hardware.stages.summing import CHAIN, MOST_CYCLES, Summing, in_cascades
from deepdive.hardware.stages.taps import Taps
from deepdive.hardware.stream import Stream

HOW = Requantizer(acc_bits=20, mult_bits=16)


def stream(shape: tuple[int, int, int], lanes: int, name: str = "x", **more: Any) -> Stream:
    height, width, channels = shape
    return Stream(name=name, height=height, width=width, channels=channels, lanes=lanes, **({"bits": 8} | more))


def pointwise(**changes: Any) -> Dense:
    """32 to 96 channels on 14x14: 8 x 32 multipliers."""
    fields: dict[str, Any] = {
        "kind": "pointwise",
        "name": "expand",
        "node": "n",
        "input": stream((14, 14, 32), 8),
        "output": stream((14, 14, 96), 8, "y"),
        "out_parallel": 32,
        "weight_bits": 8,
        "requantizer": HOW,
    }
    return Dense(**(fields | changes))


def window(kernel: int, stride: int, padding: tuple[int, int, int, int], size: tuple[int, int] = (14, 14)) -> Window:
    top, left, bottom, right = padding
    height, width = (size[0] + top + bottom - kernel) // stride + 1, (size[1] + left + right - kernel) // stride + 1
    return Window(
        name="window",
        input=stream((*size, 96), 8),
        output=stream((height, width, 96), 8, "y", taps=kernel * kernel),
        kernel=(kernel, kernel),
        stride=(stride, stride),
        padding=padding,
        zero_point=(0,),
    )


def depthwise(lanes: int = 8) -> Depthwise:
    return Depthwise(
        name="depthwise",
        node="n",
        input=stream((14, 14, 96), lanes, taps=9),
        output=stream((14, 14, 96), lanes, "y"),
        weight_bits=4,
        requantizer=HOW,
    )


def test_pointwise() -> None:
    stage = pointwise()
    assert stage.interval_cycles == 14 * 14 * (32 // 8) * (96 // 32)
    assert stage.multipliers == 8 * 32
    assert stage.macs == 14 * 14 * 32 * 96 == stage.interval_cycles * stage.multipliers
    assert stage.weight_bits_total == 32 * 96 * 8
    assert [(m.name, m.depth, m.width) for m in stage.memories] == [
        ("weights", 4 * 3, 8 * 32 * 8),
        ("scales", 12, 8 * (20 + 16 + 3)),
        ("pixel", 4, 64),
    ]
    assert stage.fill_beats == 4
    assert stage.drain_cycles == 4 * 2 + 3  # two more turns, then three more beats of the last one
    assert stage.resources().dsp == 256 + 8


def test_narrow_weights_share_multipliers_two_output_channels_each() -> None:
    narrow = pointwise(weight_bits=4, pair_field=18)
    assert narrow.packed
    assert narrow.packed_terms == 64
    assert narrow.multipliers == 8 * 32
    assert narrow.resources().dsp == 8 * 16 + 8
    wide = pointwise()
    assert not wide.packed
    logic, plain = (stage.resources().lut - total(stage.memories).lut for stage in (narrow, wide))
    packed = 8 * 5 + (4 * 32 + 2 * 33 + 34) + 13  # 8 adders of a weight and a sign, a tree, the fitted rest
    assert logic == plain + 16 * packed - 32 * (4 * 17 + 2 * 18 + 19)
    odd = pointwise(weight_bits=4, pair_field=18, out_parallel=3, output=stream((14, 14, 96), 1, "y"))
    assert odd.resources().dsp == 8 * 2 + 1
    alone = pointwise(weight_bits=4, pair_field=18, out_parallel=1, output=stream((14, 14, 96), 1, "y"))
    assert not alone.packed
    assert alone.resources().dsp == 8 + 1


def test_wide_weights_share_multipliers_four_terms_at_a_time() -> None:
    wide = pointwise(pair_field=18)
    assert (wide.packed, wide.packed_terms) == (True, 4)
    assert wide.resources().dsp == 8 * 16 + 8
    assert wide.interval_cycles == pointwise().interval_cycles
    logic, plain = (stage.resources().lut - total(stage.memories).lut for stage in (wide, pointwise()))
    # Weights joined; two trees of four products, taken apart: one upper field by a carry, one by an adder; both sums.
    packed = 8 * 9 + 2 * (2 * 36 + 37) + (38 - 18) + 2 * 19 + 13
    assert logic == plain + 16 * packed - 32 * (4 * 17 + 2 * 18 + 19)
    signed = pointwise(pair_field=18, input=stream((14, 14, 32), 8, signed=True))
    assert signed.packed_terms == 7


def test_the_distance_of_two_products_follows_from_the_multiplier() -> None:
    assert [pair_field(bits) for bits in (2, 4, 8, 9)] == [18, 18, 18, 17]
    assert [pair_field(bits, 25) for bits in (4, 6, 7, 8, 9)] == [18, 18, 17, 16, 0]
    for bits in range(2, 9):
        for wide in (25, 27):
            field, low = pair_field(bits, wide), -(1 << (bits - 1))
            assert -(1 << (wide - 1)) <= (low << field) + low  # the widest pair of weights
            terms = field_terms(field, 8, False, bits)
            assert -(1 << (field - 1)) <= terms * 255 * low
            assert (terms + 1) * 255 * -low >= 1 << (field - 1)
    with pytest.raises(ValidationError, match="two products of 8-bit weights do not share a multiplier 15 bits apart"):
        pointwise(pair_field=15)
    with pytest.raises(ValidationError, match="two products of 9-bit weights do not share a multiplier 18 bits apart"):
        pointwise(pair_field=18, weight_bits=9)


def test_all_outputs_at_once_need_no_pixel_buffer() -> None:
    stage = pointwise(out_parallel=96, output=stream((14, 14, 96), 24, "y"))
    assert stage.interval_cycles == 14 * 14 * 4
    assert [m.name for m in stage.memories] == ["weights", "scales"]


def test_dense_convolution_and_linear() -> None:
    conv = pointwise(kind="conv", input=stream((14, 14, 3), 3, taps=9), out_parallel=8)
    assert conv.interval_cycles == 14 * 14 * 12
    assert conv.multipliers == 27 * 8
    linear = pointwise(
        kind="linear", input=stream((1, 1, 1280), 2), output=stream((1, 1, 1000), 1, "y"), out_parallel=8
    )
    assert linear.interval_cycles == 640 * 125
    assert linear.weight_bits_total == 1280 * 1000 * 8


def test_external_weights_leave_the_chip() -> None:
    stage = pointwise(
        kind="linear",
        input=stream((1, 1, 1280), 2),
        output=stream((1, 1, 1000), 1, "y"),
        out_parallel=8,
        weights="external",
    )
    assert stage.external_bytes == 1280 * 1000
    assert "weights" not in [m.name for m in stage.memories]
    assert pointwise().external_bytes == 0


def test_grouped_convolution_holds_zeros_but_counts_useful_macs() -> None:
    stage = pointwise(conv_groups=4)
    assert stage.weight_bits_total == 32 * 96 * 8
    assert stage.macs == 14 * 14 * 32 * 96 // 4


def test_dense_refuses_foldings_that_do_not_fit() -> None:
    with pytest.raises(ValidationError, match="out_parallel 36 must divide 96 channels"):
        pointwise(out_parallel=36)
    with pytest.raises(ValidationError, match="1 requantizers cannot follow the accumulators"):
        pointwise(output=stream((14, 14, 96), 1, "y"))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "fill", "drain"),
    [
        (3, 1, (1, 1, 1, 1), 14 + 1, 14 + 1),
        (5, 1, (2, 2, 2, 2), 2 * 14 + 2, 2 * 14 + 2),
        (3, 2, (1, 1, 1, 1), 14 + 1, 0),  # an even map: the last window ends on its last pixel
        (3, 2, (0, 0, 1, 1), 2 * 14 + 2, 14 + 1),  # TensorFlow's "same"
        (3, 1, (0, 0, 0, 0), 2 * 14 + 2, 0),
        (1, 2, (0, 0, 0, 0), 0, 0),
    ],
)
def test_window(kernel: int, stride: int, padding: tuple[int, int, int, int], fill: int, drain: int) -> None:
    stage = window(kernel, stride, padding)
    assert stage.interval_cycles == 14 * 14 * 12
    assert stage.fill_beats == fill * 12 + 1
    assert stage.drain_cycles == drain * 12
    memories = {m.name: (m.depth, m.width) for m in stage.memories}
    if kernel == 1:
        assert memories == {}
    else:
        assert memories == {"lines": (14 * 12, (kernel - 1) * 64), "columns": (12, (kernel - 1) * kernel * 64)}


def test_padding_beyond_same_counts() -> None:
    stage = window(3, 1, (2, 2, 2, 2), (5, 6))
    assert stage.raster == (7, 8)
    assert stage.interval_cycles == 7 * 8 * 12


def test_window_refuses_other_shapes() -> None:
    good = window(3, 1, (1, 1, 1, 1))
    with pytest.raises(ValidationError, match=r"its output is not \(12, 12\) windows of kernel \(3, 3\)"):
        Window(**(good.model_dump() | {"padding": (0, 0, 0, 0)}))
    with pytest.raises(ValidationError, match="2 zero points for 96 channels"):
        Window(**(good.model_dump() | {"zero_point": (1, 2)}))


def test_depthwise() -> None:
    stage = depthwise()
    assert stage.interval_cycles == 14 * 14 * 12
    assert stage.multipliers == 9 * 8
    assert stage.macs == 14 * 14 * 96 * 9
    assert stage.weight_bits_total == 96 * 9 * 4
    assert [(m.name, m.depth, m.width) for m in stage.memories] == [
        ("weights", 12, 9 * 8 * 4),
        ("scales", 12, 8 * (20 + 16 + 3)),
    ]
    assert stage.resources().dsp == 72 + 8


def test_multipliers_of_luts_take_no_dsp() -> None:
    plain = depthwise()
    fabric = plain.model_copy(update={"fabric": True})
    assert plain.resources().dsp == 9 * 8 + 8
    assert fabric.resources().dsp == 8  # the requantizers'
    # A 4-bit weight times an 8-bit code: four rows of 10 bits.
    assert fabric.resources().lut - plain.resources().lut == 72 * 4 * 10
    assert fabric_multiplier_luts(8, 8) == 8 * 10 + 4 * 5


def test_dense_multipliers_of_luts_take_no_dsp() -> None:
    plain, fabric = pointwise(weight_bits=4), pointwise(weight_bits=4, fabric=True)
    assert fabric.resources().dsp == 8  # the requantizers'
    assert fabric.resources().lut - plain.resources().lut == 8 * 32 * 4 * 10
    assert fabric.interval_cycles == plain.interval_cycles
    with pytest.raises(ValidationError, match="multipliers of LUTs share nothing; take away pair_field or fabric"):
        pointwise(weight_bits=4, pair_field=18, fabric=True)


def paired(lanes: int = 8, **more: Any) -> Depthwise:
    pair = PixelPair(kernel=(3, 3), step=1)
    fields: dict[str, Any] = {
        "name": "depthwise",
        "node": "n",
        "input": stream((14, 7, 96), lanes, taps=pair.window_taps),
        "output": stream((14, 14, 96), lanes, "y"),
        "weight_bits": 8,
        "requantizer": HOW,
        "pixel_pair": pair,
        "pair_field": 18,
    }
    return Depthwise(**(fields | more))


def test_two_pixels_share_dsps() -> None:
    stage, plain = paired(), depthwise()
    assert stage.interval_cycles == plain.interval_cycles == 14 * 14 * 12
    assert stage.multipliers == plain.multipliers
    assert stage.macs == plain.macs
    # Half of the lanes a step: words half as wide, twice as many.
    assert [(m.name, m.depth, m.width) for m in stage.memories] == [
        ("weights", 24, 9 * 4 * 8),
        ("scales", 24, 4 * (20 + 16 + 3)),
    ]
    assert stage.weight_bits_total == 96 * 9 * 8
    assert (stage.packed_terms, paired(weight_bits=4).packed_terms) == (4, 64)
    assert stage.resources().dsp == 9 * 4 + 8
    assert (stage.fill_beats, stage.drain_cycles) == (7, 14)
    assert waiting_beats(12) == (6 + 2, 12 + 2)


def test_the_window_of_a_pair() -> None:
    pair = PixelPair(kernel=(3, 3), step=2)
    assert (pair.window, pair.window_taps, pair.filter_taps) == ((3, 5), 15, 9)
    assert pair.taps_of(0) == (0, 1, 2, 5, 6, 7, 10, 11, 12)
    assert pair.taps_of(1) == (2, 3, 4, 7, 8, 9, 12, 13, 14)


def test_pairs_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValidationError, match="3 lanes have no half; pairs of pixels want an even number"):
        paired(lanes=3)
    with pytest.raises(ValidationError, match="a pair of pixels shares DSPs, all taps at once: no fabric, no taps"):
        paired(fabric=True)
    with pytest.raises(ValidationError, match="a pair of pixels shares DSPs, all taps at once: no fabric, no taps"):
        paired(taps=Taps(parallel=3, order=tuple(range(9)), steps=3))
    with pytest.raises(ValidationError, match=r"do not fit output \(14, 14, 96\)"):
        paired(input=stream((14, 14, 96), 8, taps=12))
    with pytest.raises(ValidationError, match="windows of 12 taps for 9"):
        paired(input=stream((14, 7, 96), 8, taps=9))
    with pytest.raises(ValidationError, match="pair_field 18 without a pixel_pair"):
        Depthwise(**(depthwise().model_dump() | {"pair_field": 18}))
    for field in (0, 15):
        with pytest.raises(
            ValidationError,
            match=f"products of two 8-bit codes and a 8-bit weight do not share a multiplier {field} bits apart",
        ):
            paired(pair_field=field)


def test_codes_without_a_sign_are_joined_by_wires() -> None:
    column = Column(9, 8, 8, 20)
    assert column.pixel_luts(18, 4, x_signed=True) == column.pixel_luts(18, 4, x_signed=False) + 9 * 9
    assert column.pair_luts(18, 4) == column.pixel_luts(18, 4, x_signed=True)  # weights of as many bits as codes


def test_adder_trees() -> None:
    assert tree_luts(1, 16, 20) == 0
    assert tree_luts(8, 16, 20) == 4 * 17 + 2 * 18 + 19
    assert tree_luts(8, 16, 17) == 7 * 17  # sums wrap
    assert tree_luts(9, 16, 20) == 4 * 17 + 2 * 18 + 19 + 20  # the ninth goes along
    assert tree_luts(16, 16, 20, radix=4) == pytest.approx(4.3 * (4 * 18 + 20))
    assert Column(128, 8, 8, 23).luts() > 2 * Column(64, 8, 8, 23).luts()  # four operands a level are dearer


def test_cascades_keep_the_length_of_a_pipeline() -> None:
    """Whatever packed sums hold: fetch, column, accumulator and requantizer take `PIPELINE_CYCLES` at most."""
    assert 1 + MOST_CYCLES + 1 + 5 == PIPELINE_CYCLES
    for inputs in range(1, 400):
        for chunk in {-(-inputs // -(-inputs // terms)) for terms in range(1, 128)}:
            found = in_cascades(inputs, chunk)
            assert found.latency <= MOST_CYCLES, found
            assert found.chain <= CHAIN
            assert found.chain * found.chains >= chunk


def test_cascades() -> None:
    assert in_cascades(64, 64) == Summing(64, 64, chain=4, radix=2)
    assert in_cascades(64, 64).latency == 5 + 4
    assert in_cascades(9, 9).chain == 3  # of equal length
    assert in_cascades(65, 65).radix == 4  # with two operands a level it would be late
    assert in_cascades(16, 4).chains == 1  # taken apart behind the chain
    assert in_cascades(6, 6).waits == 0  # a chain of three waits in its DSPs alone
    assert in_cascades(16, 16).waits == 4


def test_a_cascade_costs_a_quarter_of_the_tree() -> None:
    column = Column(16, 8, 4, 20)
    assert column.luts() == tree_luts(16, 12, 20)
    assert column.luts(cascade=True) == tree_luts(4, 14, 20)
    assert column.pair_luts(18, 64) - column.pair_luts(18, 64, cascade=True) == (
        16 * 5 + tree_luts(16, 31, 38) - tree_luts(4, 33, 38)
    )
    assert column.waiting(64) == 4 * (8 + 2 * 4)
    plain = depthwise()
    cascade = plain.model_copy(update={"cascade": True})
    assert cascade.resources().dsp == plain.resources().dsp
    assert cascade.resources().lut < plain.resources().lut
    fabric = plain.model_copy(update={"fabric": True})
    assert fabric.model_copy(update={"cascade": True}).resources() == fabric.resources()


def test_pool_emits_during_the_last_pixel() -> None:
    stage = GlobalAveragePool(
        name="pool", node="n", input=stream((7, 7, 96), 8), output=stream((1, 1, 96), 8, "y"), requantizer=HOW
    )
    assert stage.interval_cycles == 49 * 12
    assert stage.fill_beats == 48 * 12 + 1
    assert [(m.name, m.depth, m.width) for m in stage.memories] == [("sums", 12, 160), ("scales", 12, 8 * 19)]
    assert stage.resources().dsp == 8


@pytest.mark.parametrize(("before", "after", "beats", "fill", "drain"), [(8, 2, 48, 1, 3), (2, 8, 48, 4, 0)])
def test_repack(before: int, after: int, beats: int, fill: int, drain: int) -> None:
    stage = Repack(name="repack", input=stream((7, 7, 96), before), output=stream((7, 7, 96), after, "y"))
    assert (stage.interval_cycles, stage.fill_beats, stage.drain_cycles) == (49 * beats, fill, drain)
    with pytest.raises(ValidationError, match="neither of 6 and 4 lanes divides the other"):
        Repack(name="repack", input=stream((7, 7, 96), 6), output=stream((7, 7, 96), 4, "y"))


def test_fork_and_add() -> None:
    x, a, b = (stream((7, 7, 96), 8, name) for name in "xab")
    fork = Fork(name="fork", input=x, output_a=a, output_b=b)
    add = ResidualAdd(name="add", node="n", input_a=a, input_b=b, output=stream((7, 7, 96), 8, "y"))
    assert fork.interval_cycles == add.interval_cycles == 49 * 12
    assert (fork.outputs, add.inputs) == ((a, b), (a, b))
    assert add.resources().dsp == 2 * 8
    with pytest.raises(ValidationError, match="differ in shape or lanes"):
        ResidualAdd(name="add", node="n", input_a=a, input_b=stream((7, 7, 96), 4, "b"), output=x)


def test_concat_takes_a_step_a_beat() -> None:
    a, b = stream((7, 7, 96), 8, "a"), stream((7, 7, 40), 8, "b")
    stage = Concat(name="concat", node="n", input_a=a, input_b=b, output=stream((7, 7, 136), 8, "y"))
    assert stage.interval_cycles == 49 * (12 + 5)
    assert stage.resources().dsp == 0
    with pytest.raises(ValidationError, match=r"output \(7, 7, 96\) is not \(7, 7, 96\) and \(7, 7, 40\) side by side"):
        Concat(name="concat", node="n", input_a=a, input_b=b, output=stream((7, 7, 96), 8, "y"))
    with pytest.raises(ValidationError, match="its three streams differ in lanes or codes"):
        Concat(name="concat", node="n", input_a=a, input_b=b, output=stream((7, 7, 136), 4, "y"))


def test_requantizer_takes_a_second_dsp_beyond_27_bits() -> None:
    y = stream((7, 7, 96), 4)
    assert HOW.resources(y).dsp == 4
    assert HOW.model_copy(update={"acc_bits": 27}).resources(y).dsp == 4
    assert HOW.model_copy(update={"acc_bits": 28}).resources(y).dsp == 8
    one_scale = HOW.model_copy(update={"per_channel": False})
    assert one_scale.resources(y).lut < HOW.resources(y).lut
    assert one_scale.scales(y, bias=False) is None


def test_stages_go_through_json() -> None:
    adapter: TypeAdapter[AnyStage] = TypeAdapter(AnyStage)
    stages: list[Stage] = [pointwise(), window(3, 2, (1, 1, 1, 1)), depthwise(), paired()]
    for stage in stages:
        assert adapter.validate_json(stage.model_dump_json()) == stage
    with pytest.raises(ValidationError, match="'kind'"):
        adapter.validate_python({"kind": "magic", "name": "m"})


def test_resources_add_up() -> None:
    total = Resources(dsp=1, lut=2, ff=3, bram36=0.5, uram=4) + Resources(dsp=10, bram36=1.0)
    assert total == Resources(dsp=11, lut=2, ff=3, bram36=1.5, uram=4)
