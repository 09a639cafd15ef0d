"""What an integer classifier says of pictures: the best classes of each, and how many are right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from deepdive.errors import DeepDiveError
from deepdive.qnet.graph import QNet
from deepdive.qnet.pictures import Picture
from deepdive.qnet.preprocess import read_images

Progress = Callable[[int, int], None]
"""Called with (pictures done, pictures in all)."""


@dataclass(frozen=True)
class Guess:
    """A class that a network names, and its share of the softmax."""

    index: int
    label: str
    probability: float


@dataclass(frozen=True)
class Accuracy:
    """Of how many labelled pictures the right class was first, or among the first five."""

    images: int
    top1: int
    top5: int


def best(logits: np.ndarray, labels: tuple[str, ...], count: int = 5) -> tuple[Guess, ...]:
    """The `count` best classes of real-valued logits (classes,); ties go to the lowest index."""
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    order = np.argsort(-logits, kind="stable")[:count]
    return tuple(Guess(int(i), labels[i] if labels else f"class {i}", float(shares[i])) for i in order)


def logits_of(net: QNet, codes: np.ndarray) -> np.ndarray:
    """Real-valued logits (batch, classes) of input codes (batch, height, width, channels), by the reference."""
    output = net.run(codes)
    assert isinstance(output, np.ndarray)
    if output.shape[1:3] != (1, 1):
        raise DeepDiveError(f"'{net.name}' gives a map {output.shape[1:]}, not one value a class; it is no classifier.")
    return net.output.dequantize(output)[:, 0, 0, :]


def evaluate(net: QNet, pictures: Sequence[Picture], progress: Progress | None = None) -> Accuracy:
    """Top-1 and top-5 of the reference on labelled pictures."""
    if net.preprocess is None:
        raise DeepDiveError(f"'{net.name}' does not say how pictures become its input; quantize it with a preprocess.")
    top1 = top5 = 0
    for done, picture in enumerate(pictures, start=1):
        if picture.label is None or not 0 <= picture.label < net.output.shape[2]:
            raise DeepDiveError(f"'{picture.path}' has no label that fits {net.output.shape[2]} classes.")
        codes = read_images([picture.path], net.preprocess)
        order = [guess.index for guess in best(logits_of(net, codes)[0], net.labels)]
        top1 += order[0] == picture.label
        top5 += picture.label in order
        if progress:
            progress(done, len(pictures))
    return Accuracy(len(pictures), top1, top5)
