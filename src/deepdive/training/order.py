"""Which image comes when: a deterministic order that does not depend on the number of processes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepdive.errors import DeepDiveError

SHUFFLE, AUGMENT = 1, 2
"""Streams of random numbers that are drawn from one seed and must not coincide."""


@dataclass(frozen=True)
class Order:
    """The order of the images of a training.

    Every process works through the same global batches and takes its own stretch of each. All random numbers follow
    from the seed and the position, so a position is everything that a checkpoint needs to store.

    Parameters
    ----------
    images
        Images of the training set.
    batch_size
        Images of a global batch, over all processes. What is left over at the end of an epoch waits for another one.
    seed
        Of every random number.
    process, processes
        This process and how many there are.
    """

    images: int
    batch_size: int
    seed: int
    process: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        if self.batch_size % self.processes:
            raise DeepDiveError(
                f"A batch of {self.batch_size} images cannot be shared evenly by {self.processes} processes; "
                f"choose a batch size that is a multiple of {self.processes}."
            )
        if self.batch_size > self.images:
            raise DeepDiveError(
                f"A batch of {self.batch_size} is more than the {self.images} training images; choose a smaller one."
            )

    @property
    def steps(self) -> int:
        """Global batches in an epoch."""
        return self.images // self.batch_size

    @property
    def own(self) -> slice:
        """This process's stretch of a global batch."""
        share = self.batch_size // self.processes
        return slice(self.process * share, (self.process + 1) * share)

    def epoch(self, epoch: int) -> np.ndarray:
        """Indices of an epoch's images: int64 (steps, batch_size), one row a global batch."""
        shuffled = np.random.default_rng((self.seed, SHUFFLE, epoch)).permutation(self.images)
        return shuffled[: self.steps * self.batch_size].reshape(self.steps, self.batch_size)

    def chance(self, epoch: int, step: int) -> np.random.Generator:
        """Random numbers for augmenting a global batch."""
        return np.random.default_rng((self.seed, AUGMENT, epoch, step))

    def torch_seed(self, epoch: int, step: int) -> int:
        """Seed of torch's own random numbers (dropout) in this process at this step."""
        words = np.random.SeedSequence((self.seed, epoch, step, self.process)).generate_state(2)
        return (int(words[0]) << 31) ^ int(words[1])
