"""The loop in one process: what it learns, writes, refuses, and how hooks change it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, fx, nn

from deepdive.errors import DeepDiveError
from deepdive.models import load_weights, read_checkpoint
from deepdive.qnet.preprocess import Preprocess
from deepdive.training import (
    Augment,
    Batch,
    Data,
    Distill,
    FreezeBatchNorm,
    Hook,
    ImageSet,
    Job,
    Normalize,
    Optimizer,
    Recipe,
    Schedule,
    Standing,
    Watcher,
    evaluate,
    open_data,
    raw_pixels,
    train,
)
from deepdive.training.finite import where_it_broke
from deepdive.training.optimize import make_optimizer, rate_at

NORMALIZE = Normalize((80.0,) * 3, (90.0,) * 3)
RECIPE = Recipe(epochs=2, batch_size=100, optimizer=Optimizer(learning_rate=0.1))


@pytest.fixture(scope="module")
def digits() -> Data:
    return open_data("digits", Preprocess((8, 8)))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job("small", RECIPE, NORMALIZE, tmp_path / "run", cpu=True)


def small(width: int = 16) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU6(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * width, 10),
    )


def test_learns_digits_and_writes_what_it_did(digits: Data, job: Job) -> None:
    network = small()
    before = evaluate(network, digits.test, NORMALIZE)
    trained = train(network, digits, job)
    assert before.accuracy < 0.3
    assert trained.test == evaluate(network, digits.test, NORMALIZE)
    assert trained.test.accuracy > 0.9
    rows = [json.loads(line) for line in (job.out / "metrics.jsonl").read_text().splitlines()]
    assert rows == list(trained.rows)
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 16), (2, 32)]
    assert rows[-1]["test_accuracy"] == trained.test.accuracy
    assert sorted(path.name for path in job.out.iterdir()) == [
        "checkpoint.safetensors",
        "events.out.tfevents.0.deepdive",
        "metrics.jsonl",
        "network.safetensors",
        "training.json",
    ]
    other = small()
    load_weights(other, read_checkpoint(trained.network_file), "the run")
    assert evaluate(other, digits.test, NORMALIZE) == trained.test


def test_does_not_care_whether_the_network_is_traced(digits: Data, job: Job) -> None:
    plain, traced = small(), fx.symbolic_trace(small())
    first = train(plain, digits, job)
    second = train(traced, digits, replace(job, out=job.out / "traced"))
    assert [row["train_loss"] for row in first.rows] == [row["train_loss"] for row in second.rows]


def test_all_random_numbers_come_from_the_seed(digits: Data, job: Job) -> None:
    recipe = RECIPE.model_copy(update={"epochs": 1, "augment": Augment(shift=1, mixup=0.2)})
    losses = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.manual_seed(len(losses) + 100)
        one = replace(job, out=job.out / name, recipe=recipe.model_copy(update={"seed": seed}))
        losses.append(
            train(nn.Sequential(*small()[:5], nn.Dropout(0.5), small()[5]), digits, one).rows[0]["train_loss"]
        )
    assert losses[0] == losses[1] != losses[2]


def test_small_images_first(digits: Data, job: Job) -> None:
    sizes = []

    class Sizes(Hook):
        def extra_loss(self, batch: Batch, logits: Tensor) -> None:
            sizes.append(tuple(batch.pixels.shape[1:3]))

    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
    recipe = Recipe.model_validate({"epochs": 3, "batch_size": 400, "grow": {"size": 6, "until": 0.5}})
    train(network, digits, replace(job, recipe=recipe), (Sizes(),))
    assert sizes == [(6, 6)] * 8 + [(8, 8)] * 4


class Poison(Hook):
    """Makes a weight NaN in the second epoch, as a diverging training would."""

    def before_epoch(self, network: nn.Module, epoch: int, epochs: int) -> None:
        if epoch == 1:
            network.get_parameter("5.weight").data[0, 0] = float("nan")


def test_nan_stops_and_keeps_the_last_good_checkpoint(digits: Data, job: Job) -> None:
    with pytest.raises(DeepDiveError) as error:
        train(small(), digits, job, (Poison(),))
    assert str(error.value) == (
        f"Training of 'small' met NaN or infinity at epoch 2, step 1, first in layer '5'; lower the learning rate "
        f"(0.1) or clip the gradient; the last good checkpoint is kept in '{job.out / 'checkpoint.safetensors'}'."
    )
    assert error.value.exit_code == 2
    assert all(torch.isfinite(t).all() for t in load_file(job.out / "checkpoint.safetensors").values())
    # Without the poison the training goes on from there.
    assert len(train(small(), digits, replace(job, resume=True)).rows) == 2


def test_weights_that_broke_in_the_last_step_are_not_saved(digits: Data, job: Job) -> None:
    class Gradient(Hook):
        """A finite loss with an infinite gradient, in the very last step."""

        steps = 0

        def extra_loss(self, batch: Batch, logits: Tensor) -> Tensor:
            self.steps += 1
            scale = 1e30 if self.steps == 32 else 0.0
            return ((logits - logits.detach()) * scale).sum() * 1e30

    with pytest.raises(DeepDiveError, match=r"epoch 2, step 16, first in '0\.weight'"):
        train(small(), digits, job, (Gradient(),))
    assert all(torch.isfinite(t).all() for t in load_file(job.out / "checkpoint.safetensors").values())


@pytest.mark.parametrize(
    ("layer", "value", "where"),
    [("0.weight", float("inf"), "first in layer '0'"), ("5.bias", float("nan"), "first in layer '5'")],
)
def test_the_first_layer_with_nan_is_named(layer: str, value: float, where: str) -> None:
    network = small()
    network.get_parameter(layer).data.view(-1)[0] = value
    assert where_it_broke(network, torch.randn(4, 3, 8, 8)) == where


def test_the_innermost_layer_is_named_whatever_it_returns() -> None:
    @dataclass
    class Codes:
        values: Tensor

    class Wrapped(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.inner = nn.Linear(2, 2)
            self.register_parameter(name, nn.Parameter(torch.zeros(1)))

        def forward(self, x: Tensor) -> Codes:
            return Codes(self.inner(x) / self.scale)

    class Unwrap(nn.Module):
        def forward(self, codes: Codes) -> Tensor:
            return codes.values

    network = nn.Sequential(nn.Linear(2, 2), Wrapped("scale"), Unwrap())
    assert where_it_broke(network, torch.randn(1, 2)) == "first in layer '1'"
    network.get_parameter("1.inner.bias").data[0] = float("nan")
    assert where_it_broke(network, torch.randn(1, 2)) == "first in layer '1.inner'"


def test_a_broken_loss_of_a_sound_network_is_told_apart() -> None:
    assert where_it_broke(small(), torch.randn(4, 3, 8, 8)) == "in the loss itself, all layers being finite"


def test_a_finished_training_resumes_to_nothing(digits: Data, job: Job) -> None:
    first = train(small(), digits, job)
    weights = (job.out / "network.safetensors").read_bytes()
    (job.out / "network.safetensors").unlink()
    again = train(small(), digits, replace(job, resume=True))
    assert again == first
    assert (job.out / "network.safetensors").read_bytes() == weights


def test_a_folder_with_a_training_is_not_overwritten(digits: Data, job: Job) -> None:
    train(small(), digits, job)
    with pytest.raises(DeepDiveError, match="already holds a training; resume it, or name another folder"):
        train(small(), digits, job)


def other_data(digits: Data) -> Data:
    return Data(digits.train.take(np.arange(1000)), digits.test, "digits")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "large"}, "is of 'small', not of 'large'; name another folder"),
        ({"width": 8}, r"is of a 'small' with other tensors \(width, classes or quantization differ\)"),
        ({"data": True}, r"was trained on 1612\+185 images of 10 classes, 8x8, not 1000\+185 images"),
        (
            {"recipe": RECIPE.model_copy(update={"epochs": 5})},
            "was trained with epochs = 2, not 5; resume with the same",
        ),
    ],
    ids=["model", "tensors", "data", "recipe"],
)
def test_another_trainings_checkpoint_is_refused(digits: Data, job: Job, change: dict, words: str) -> None:
    train(small(), digits, job)
    other = replace(job, resume=True, **{key: change[key] for key in ("model", "recipe") if key in change})
    network = small(change.get("width", 16))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(DeepDiveError, match=words):
        train(network, other_data(digits) if "data" in change else digits, other)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("content", [b"", b"\x80\x04nothing", b"\x10" + bytes(7) + b'{"a":1}         '])
def test_a_damaged_checkpoint_is_refused(digits: Data, job: Job, content: bytes) -> None:
    job.out.mkdir()
    (job.out / "checkpoint.safetensors").write_bytes(content)
    with pytest.raises(DeepDiveError, match="is no readable checkpoint of a training"):
        train(small(), digits, replace(job, resume=True))


def test_the_watcher_sees_every_step(digits: Data, job: Job) -> None:
    seen: list[Standing] = []

    class See(Watcher):
        def step(self, standing: Standing) -> None:
            seen.append(standing)

    trained = train(small(), digits, job, watcher=See())
    assert [(one.epoch, one.step) for one in seen] == [(e, s) for e in (1, 2) for s in range(1, 17)]
    assert seen[15].loss == trained.rows[0]["train_loss"]
    assert seen[15].test_accuracy is None
    assert seen[16].test_accuracy == trained.rows[0]["test_accuracy"]


def test_frozen_batch_norm_keeps_its_statistics(digits: Data, job: Job) -> None:
    kept: list[Tensor] = []

    class Keep(Hook):
        def before_epoch(self, network: nn.Module, epoch: int, epochs: int) -> None:
            kept.append(network.get_buffer("1.running_mean").clone())

    network = small()
    recipe = RECIPE.model_copy(update={"epochs": 3})
    train(network, digits, replace(job, recipe=recipe), (Keep(), FreezeBatchNorm(epoch=1)))
    assert not torch.equal(kept[0], kept[1])
    assert torch.equal(kept[1], kept[2])
    assert torch.equal(kept[1], network.get_buffer("1.running_mean"))


def test_a_teacher_is_followed() -> None:
    class Logits(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.mean(dim=(2, 3))

    pixels = torch.randint(256, (6, 4, 4, 3), dtype=torch.uint8)
    batch = Batch(pixels, torch.zeros(6, dtype=torch.long), torch.zeros(6, dtype=torch.long), 1.0)
    hook = Distill(Logits(), NORMALIZE, weight=0.5, temperature=3.0)
    same = Logits()(NORMALIZE(pixels))
    assert hook.extra_loss(batch, same).item() == pytest.approx(0, abs=1e-6)
    given = torch.randn(6, 3)
    p, q = (same / 3).softmax(1), (given / 3).softmax(1)
    assert hook.extra_loss(batch, given).item() == pytest.approx(
        0.5 * 9 * (p * (p / q).log()).sum().item() / 6, rel=1e-4
    )


def test_a_network_may_take_raw_pixels(digits: Data, job: Job) -> None:
    class Raw(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = small()

        def forward(self, pixels: Tensor) -> Tensor:
            assert pixels.dtype == torch.uint8
            return self.layers(NORMALIZE(pixels))

    normalized = train(small(), digits, job)
    raw = train(Raw(), digits, replace(job, inputs=raw_pixels, out=job.out / "raw"))
    assert [row["train_loss"] for row in raw.rows] == [row["train_loss"] for row in normalized.rows]
    assert raw.test == normalized.test


def test_only_weights_decay() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = small()
            self.scale = nn.Parameter(torch.ones(4, 1, 1, 1))
            self.frozen = nn.Parameter(torch.ones(2, 2), requires_grad=False)

    network = Scaled()
    decaying, others = make_optimizer(network, Optimizer(weight_decay=0.1)).param_groups
    assert [id(p) for p in decaying["params"]] == [id(network.layers[0].weight), id(network.layers[5].weight)]
    assert decaying["weight_decay"] == 0.1
    assert others["weight_decay"] == 0
    assert {id(p) for p in others["params"]} == {
        id(p) for p in (network.scale, network.layers[1].weight, network.layers[1].bias, network.layers[5].bias)
    }


def test_rates() -> None:
    linear = Schedule(warmup=0.2, decay="linear", start=0.1)
    assert [round(rate_at(linear, step, 10), 6) for step in range(10)] == [
        0.1, 0.55, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125,
    ]  # fmt: skip
    cosine = Schedule(warmup=0.0, decay="cosine")
    assert [round(rate_at(cosine, step, 4), 6) for step in range(4)] == [1.0, 0.853553, 0.5, 0.146447]
    assert rate_at(Schedule(warmup=0.0, decay="constant"), 9, 10) == 1.0


def test_evaluate_counts_every_image_and_leaves_the_mode(digits: Data) -> None:
    network = small()
    network[1].eval()
    whole = ImageSet(digits.train.images, digits.train.labels, digits.train.classes, rows=digits.train.rows)
    score = evaluate(network, whole, NORMALIZE)
    with torch.no_grad():
        logits = small().eval()(NORMALIZE(torch.from_numpy(whole.pixels(np.arange(len(whole))))))
    assert score.images == 1612
    assert score.correct == int((logits.argmax(1) == torch.from_numpy(whole.labels)).sum())
    assert network.training
    assert not network[1].training
