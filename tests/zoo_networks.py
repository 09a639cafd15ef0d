"""Networks of the zoo's shapes with random weights, made without torch: the compiler needs shapes, not sense."""

from __future__ import annotations

from deepdive.qnet import FeatureMap, QNet
from networks import NetworkBuilder, Numbers, Window

MOBILENET_V2 = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 32, 3, 2, 3), (6, 64, 4, 2, 3), (6, 96, 3, 1, 3),
                (6, 160, 3, 2, 3), (6, 320, 1, 1, 3))  # fmt: skip
LITE0 = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5),
         (6, 192, 4, 2, 5), (6, 320, 1, 1, 3))  # fmt: skip
"""(expansion, channels, repeats, stride, kernel) of each row of blocks."""

MNASNET = ((1, 16, 1, 1, 3), (3, 24, 3, 2, 3), (3, 40, 3, 2, 5), (6, 80, 3, 2, 5), (6, 96, 2, 1, 3),
           (6, 192, 4, 2, 5), (6, 320, 1, 1, 3))  # fmt: skip

MOBILENET_V3 = ((3, 16, 16, 1, False, False), (3, 64, 24, 2, False, False), (3, 72, 24, 1, False, False),
                (5, 72, 40, 2, True, False), (5, 120, 40, 1, True, False), (5, 120, 40, 1, True, False),
                (3, 240, 80, 2, False, True), (3, 200, 80, 1, False, True), (3, 184, 80, 1, False, True),
                (3, 184, 80, 1, False, True), (3, 480, 112, 1, True, True), (3, 672, 112, 1, True, True),
                (5, 672, 160, 2, True, True), (5, 960, 160, 1, True, True), (5, 960, 160, 1, True, True))  # fmt: skip
"""(kernel, expanded channels, channels, stride, squeeze-excite, hard-swish instead of ReLU) of each block."""


def rounded(channels: float) -> int:
    """To a multiple of 8, never more than a tenth down: MobileNet's rule."""
    result = max(8, int(channels + 4) // 8 * 8)
    return result + 8 if result < 0.9 * channels else result


def inverted_residuals(
    rows: tuple[tuple[int, int, int, int, int], ...],
    *,
    resolution: int,
    width: float = 1.0,
    weight_bits: int = 8,
    squeeze: bool = False,
    last: int = 1280,
    name: str = "zoo",
) -> QNet:
    """Stem, inverted residual blocks, last convolution, pool, classifier; 8 bits in the first layer.

    With `squeeze`, squeeze-excite to a quarter of a block's input channels and tables after every layer but
    projections, as EfficientNet has them.
    """
    builder = NetworkBuilder(FeatureMap("image", (resolution, resolution, 3), 8, False, 1 / 127.5, 128))
    relu, plain, first = Numbers(weight_bits=weight_bits), Numbers(8, True, 0, weight_bits), Numbers()

    def act(x: FeatureMap) -> FeatureMap:
        return builder.table(f"{x.name}.act", x, relu) if squeeze else x

    x = act(builder.conv("stem", builder.source, rounded(32 * width), Window.same(3, 2), first))
    for row, (expansion, channels, repeats, stride, kernel) in enumerate(rows):
        for repeat in range(repeats):
            block, source, step = f"blocks.{row}.{repeat}", x, stride if repeat == 0 else 1
            if expansion > 1:
                x = act(builder.conv(f"{block}.expand", x, expansion * source.shape[2], Window(), relu))
            x = act(builder.depthwise(f"{block}.depthwise", x, Window.same(kernel, step), relu))
            if squeeze:
                factors = builder.global_avg_pool(f"{block}.squeeze", x, relu)
                factors = act(builder.conv(f"{block}.reduce", factors, max(1, source.shape[2] // 4), Window(), plain))
                factors = act(builder.conv(f"{block}.excite", factors, x.shape[2], Window(), plain))
                x = builder.channel_scale(f"{block}.scale", x, factors, relu)
            x = builder.conv(f"{block}.project", x, rounded(channels * width), Window(), plain)
            if x.shape == source.shape:
                x = builder.add(f"{block}.add", source, x, plain)
    x = act(builder.conv("last", x, last, Window(), relu))
    x = builder.global_avg_pool("pool", x, relu)
    builder.linear("classifier", x, 1000, plain)
    return builder.build(name)


def mobilenet_v2(resolution: int = 224, width: float = 1.0, weight_bits: int = 8) -> QNet:
    """MobileNetV2."""
    return inverted_residuals(
        MOBILENET_V2, resolution=resolution, width=width, weight_bits=weight_bits, name="mobilenet_v2"
    )


def efficientnet_lite0(resolution: int = 224, weight_bits: int = 8) -> QNet:
    """EfficientNet-Lite0."""
    return inverted_residuals(LITE0, resolution=resolution, weight_bits=weight_bits, name="efficientnet_lite0")


def efficientnet_b0(resolution: int = 224, weight_bits: int = 8) -> QNet:
    """EfficientNet-B0."""
    return inverted_residuals(
        LITE0, resolution=resolution, weight_bits=weight_bits, squeeze=True, name="efficientnet_b0"
    )


def efficientnet_compact(resolution: int = 224, weight_bits: int = 8) -> QNet:
    """EfficientNet-Compact, as in `deepdive.models`; its rows hold twice the channels, its stem is half of 32."""
    rows = ((1, 64, 1, 2, 3), (2, 80, 2, 2, 3), (3, 144, 3, 2, 3), (4, 256, 2, 2, 3))
    return inverted_residuals(
        rows, resolution=resolution, width=0.5, weight_bits=weight_bits, last=448, name="efficientnet_compact"
    )


def mnasnet(resolution: int = 224, weight_bits: int = 8) -> QNet:
    """MNASNet 1.0."""
    return inverted_residuals(MNASNET, resolution=resolution, weight_bits=weight_bits, name="mnasnet")


def mobilenet_v3(resolution: int = 224, weight_bits: int = 8) -> QNet:
    """MobileNetV3-Large; its tables hold random numbers, as all else."""
    builder = NetworkBuilder(FeatureMap("image", (resolution, resolution, 3), 8, False, 1 / 127.5, 128))
    relu, plain, first = Numbers(weight_bits=weight_bits), Numbers(8, True, 0, weight_bits), Numbers()

    def act(x: FeatureMap, swish: bool = True) -> FeatureMap:
        return builder.table(f"{x.name}.act", x, relu) if swish else x

    x = act(builder.conv("stem", builder.source, 16, Window.same(3, 2), first))
    for row, (kernel, wide, channels, stride, squeeze, swish) in enumerate(MOBILENET_V3):
        block, source = f"blocks.{row}", x
        if wide != source.shape[2]:
            x = act(builder.conv(f"{block}.expand", x, wide, Window(), relu), swish)
        x = act(builder.depthwise(f"{block}.depthwise", x, Window.same(kernel, stride), relu), swish)
        if squeeze:
            factors = builder.global_avg_pool(f"{block}.squeeze", x, relu)
            factors = builder.conv(f"{block}.reduce", factors, rounded(wide / 4), Window(), relu)
            factors = act(builder.conv(f"{block}.excite", factors, wide, Window(), plain))
            x = builder.channel_scale(f"{block}.scale", x, factors, relu)
        x = builder.conv(f"{block}.project", x, channels, Window(), plain)
        if x.shape == source.shape:
            x = builder.add(f"{block}.add", source, x, plain)
    x = builder.global_avg_pool("pool", act(builder.conv("last", x, 960, Window(), plain)), relu)
    x = act(builder.linear("hidden", x, 1280, plain))
    builder.linear("classifier", x, 1000, plain)
    return builder.build("mobilenet_v3")


def headline_networks(weight_bits: int) -> dict[str, QNet]:
    """The networks whose figures docs give, by the name they have there."""
    return {
        "MobileNetV2-1.0-224": mobilenet_v2(weight_bits=weight_bits),
        "EfficientNet-Lite0-224": efficientnet_lite0(weight_bits=weight_bits),
        "MobileNetV2-0.75-160": mobilenet_v2(160, 0.75, weight_bits),
        "EfficientNet-Compact-224": efficientnet_compact(weight_bits=weight_bits),
    }
