"""The training loop: one CPU, one GPU, or many processes under torchrun, with the same result.

It asks nothing of the network but that it maps images to logits, so it trains float and quantized networks alike.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NoReturn

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn

from deepdive.errors import DeepDiveError
from deepdive.files import write_text
from deepdive.training import metrics, tensorboard
from deepdive.training.allocator import keep_freed_memory
from deepdive.training.bar import Standing, Watcher
from deepdive.training.batches import Batch, Batches, Inputs
from deepdive.training.checkpoint import Identity, Position, digest, load, save, save_network
from deepdive.training.evaluate import Score, partial_sums, score_of
from deepdive.training.finite import bad_tensor, where_it_broke
from deepdive.training.hooks import Hook, loss_of
from deepdive.training.image_set import Data
from deepdive.training.optimize import make_optimizer, rate_at, set_rate
from deepdive.training.order import Order
from deepdive.training.recipe import Recipe
from deepdive.training.synchronize import share_batch_norm

CHECKPOINT = "checkpoint.safetensors"
NETWORK = "network.safetensors"
FACTS = "training.json"


@dataclass(frozen=True)
class Job:
    """A training to run.

    Parameters
    ----------
    model
        Name of the network, for checkpoints and messages.
    recipe
        How to train.
    inputs
        Turns raw pixels into what the network wants: a `Normalize` for a float one, `raw_pixels` for a quantized one.
    out
        Folder for the checkpoint, the trained network and the metrics.
    resume
        Go on from the checkpoint in `out`, if there is one.
    cpu
        Stay on the CPU even where there is a GPU.
    facts
        What else a reader of the weights should know; written to `training.json` beside them.
    checkpoint_seconds
        A checkpoint is written at the end of each epoch, and when the last one is older than this.
    """

    model: str
    recipe: Recipe
    inputs: Inputs
    out: Path
    resume: bool = False
    cpu: bool = False
    facts: Mapping[str, object] = field(default_factory=dict)
    checkpoint_seconds: float = 120.0


@dataclass(frozen=True)
class Trained:
    """What a training ends with: the metrics of each epoch, and the score of the last.

    `is_main` is False in all processes of a torchrun but one.
    """

    rows: tuple[dict[str, float], ...]
    test: Score
    network_file: Path
    is_main: bool


def train(
    network: nn.Module, data: Data, job: Job, hooks: tuple[Hook, ...] = (), watcher: Watcher | None = None
) -> Trained:
    """Train `network` in place.

    Started by torchrun, every process trains on its share of each batch. Written to `job.out`:
    `checkpoint.safetensors` (everything needed to resume), `network.safetensors` (the network alone), `training.json`
    (what it is of), `metrics.jsonl` and a TensorBoard event file. On a CPU, a training that was killed and resumed ends
    with the very weights of one that was not.

    Raises
    ------
    DeepDiveError
        When the loss is no longer a number, the folder holds another training, or the recipe does not fit the data.
    """
    return Training(network, data, job, hooks, watcher or Watcher()).run()


class Training:
    """A training while it runs."""

    def __init__(self, network: nn.Module, data: Data, job: Job, hooks: tuple[Hook, ...], watcher: Watcher) -> None:
        # A frozen layer of a quantized network takes no part in the backward pass, which DDP must be told.
        unused = DistributedDataParallelKwargs(find_unused_parameters=True)
        self.accelerator = Accelerator(cpu=job.cpu or not torch.cuda.is_available(), kwargs_handlers=[unused])
        self.network, self.data, self.job, self.hooks, self.watcher = network, data, job, hooks, watcher
        self.recipe = job.recipe
        processes = self.accelerator.num_processes
        self.order = Order(
            len(data.train), self.recipe.batch_size, self.recipe.seed, self.accelerator.process_index, processes
        )
        device = self.accelerator.device
        if device.type == "cpu":
            keep_freed_memory()
        self.batches = Batches(data.train, self.order, self.recipe.augment, device)
        network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload] # missing in torch's stubs
        if processes > 1:
            share_batch_norm(network)
        self.optimizer = make_optimizer(network, self.recipe.optimizer)
        self.position = Position()
        self.identity = Identity(job.model, digest(network), describe(data), self.recipe.model_dump(mode="json"))
        self.saved_at = time.monotonic()

    @property
    def is_main(self) -> bool:
        """Whether this process writes and shows."""
        return bool(self.accelerator.is_main_process)

    def run(self) -> Trained:
        """Train from the beginning or the checkpoint to the end."""
        self.start()
        parallel = self.accelerator.prepare_model(self.network)
        for epoch in range(self.position.epoch, self.recipe.epochs):
            self.run_epoch(parallel, epoch)
        return self.result()

    def start(self) -> None:
        """Resume, or make sure that nothing is overwritten."""
        checkpoint = self.job.out / CHECKPOINT
        if checkpoint.is_file():
            if not self.job.resume:
                raise DeepDiveError(
                    f"'{self.job.out}' already holds a training; resume it, or name another folder for a new one."
                )
            self.position = load(checkpoint, self.network, self.optimizer, self.identity)
            self.watcher.say(f"Resuming at epoch {self.position.epoch + 1}, step {self.position.step + 1}.")
        if self.is_main:
            self.job.out.mkdir(parents=True, exist_ok=True)
            for name in (CHECKPOINT, NETWORK, FACTS, metrics.FILE_NAME, tensorboard.FILE_NAME):
                for stale in self.job.out.glob(f".{name}.*"):  # left by a process that was killed while writing
                    stale.unlink()
            write_text(self.job.out / FACTS, json.dumps({**asdict(self.identity), **self.job.facts}, indent=1) + "\n")
            if self.position.rows:
                metrics.write_metrics(self.job.out, self.position.rows)
        self.accelerator.wait_for_everyone()

    def run_epoch(self, parallel: nn.Module, epoch: int) -> None:
        """Train one epoch from the current step on, test, save."""
        parallel.train()
        for hook in self.hooks:
            hook.before_epoch(self.network, epoch, self.recipe.epochs)
        here = self.position
        began = time.monotonic() - here.seconds
        for batch in self.batches.epoch(epoch, here.step, self.recipe.grow.at(epoch, self.recipe.epochs)):
            self.run_step(parallel, batch)
            here.step += 1
            here.seconds = time.monotonic() - began
            if self.is_main:
                self.show()
                if time.monotonic() - self.saved_at > self.job.checkpoint_seconds:
                    self.check()
                    self.save()
        self.check()
        score = self.test()
        here.rows.append(
            {
                "epoch": epoch + 1,
                "step": (epoch + 1) * self.order.steps,
                "time": time.time(),
                "train_loss": here.loss / here.seen,
                "train_accuracy": here.correct / here.seen,
                "test_loss": score.loss,
                "test_accuracy": score.accuracy,
                "learning_rate": self.rate(epoch, self.order.steps - 1),
                "seconds": here.seconds,
            }
        )
        self.position = Position(epoch=epoch + 1, rows=here.rows)
        if self.is_main:
            # The checkpoint comes last: killed before it, the epoch is trained again and these are written again.
            save_network(self.job.out / NETWORK, self.network)
            metrics.write_metrics(self.job.out, here.rows)
            self.save()

    def run_step(self, parallel: nn.Module, batch: Batch) -> None:
        """One step of the optimizer on one global batch."""
        here, recipe = self.position, self.recipe.optimizer
        torch.manual_seed(self.order.torch_seed(here.epoch, here.step))
        set_rate(self.optimizer, self.rate(here.epoch, here.step))
        inputs = self.job.inputs(batch.pixels)
        logits = parallel(inputs)
        loss = loss_of(batch, logits, self.recipe.label_smoothing, self.hooks)
        right = (logits.argmax(dim=1) == batch.labels).sum()
        value, correct = self.total(torch.stack([loss.detach() * len(batch.labels), right])).tolist()
        if not math.isfinite(value):
            self.stop(here.step + 1, where_it_broke(self.network, inputs))
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        if recipe.clip:
            self.accelerator.clip_grad_norm_(parallel.parameters(), recipe.clip)
        self.optimizer.step()
        here.loss += value
        here.correct += correct
        here.seen += self.recipe.batch_size

    def rate(self, epoch: int, step: int) -> float:
        """The learning rate of a step."""
        steps = self.order.steps
        share = rate_at(self.recipe.schedule, epoch * steps + step, self.recipe.epochs * steps)
        return self.recipe.optimizer.learning_rate * share

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        summed = self.accelerator.reduce(values, reduction="sum")
        assert isinstance(summed, Tensor)
        return summed

    def test(self) -> Score:
        """Score on the test images, each process taking its share of them."""
        part = (self.accelerator.process_index, self.accelerator.num_processes)
        sums = partial_sums(self.network, self.data.test, self.job.inputs, part)
        return score_of(self.total(sums.to(self.accelerator.device)))

    def show(self) -> None:
        """Tell the watcher how it stands."""
        here = self.position
        tested = here.rows[-1]["test_accuracy"] if here.rows else None
        self.watcher.step(
            Standing(
                here.epoch + 1,
                self.recipe.epochs,
                here.step,
                self.order.steps,
                here.loss / here.seen,
                here.correct / here.seen,
                tested,
            )
        )

    def save(self) -> None:
        """Write a checkpoint."""
        save(self.job.out / CHECKPOINT, self.network, self.optimizer, self.position, self.identity)
        self.saved_at = time.monotonic()

    def check(self) -> None:
        """Stop before a broken network takes the place of the last good checkpoint."""
        broken = bad_tensor(self.network)
        if broken is not None:
            self.stop(self.position.step, f"first in '{broken}'")

    def stop(self, step: int, where: str) -> NoReturn:
        """Give up because of NaN or infinity in a step, counted from 1."""
        here, kept = self.position, self.job.out / CHECKPOINT
        last = f"the last good checkpoint is kept in '{kept}'" if kept.is_file() else "no checkpoint was written yet"
        raise DeepDiveError(
            f"Training of '{self.job.model}' met NaN or infinity at epoch {here.epoch + 1}, step {step}, "
            f"{where}; lower the learning rate ({self.recipe.optimizer.learning_rate:g}) or clip the gradient; {last}."
        )

    def result(self) -> Trained:
        """What the last epoch left."""
        rows, file = tuple(self.position.rows), self.job.out / NETWORK
        images = len(self.data.test)
        last = rows[-1]
        if self.is_main and not file.is_file():  # removed since the training ended
            save_network(file, self.network)
        return Trained(
            rows, Score(round(last["test_accuracy"] * images), images, last["test_loss"]), file, self.is_main
        )


def describe(data: Data) -> str:
    """Words that tell one data set from another."""
    height, width = data.train.size
    return f"{len(data.train)}+{len(data.test)} images of {len(data.train.classes)} classes, {height}x{width}"
