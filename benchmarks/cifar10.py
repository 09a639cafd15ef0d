"""CIFAR-10: trains the float network and its quantized twins, and says what they reached, at which size, in which time.

    python benchmarks/cifar10.py --data ../shared/data/cifar10 --out runs [--networks float w4a8 w4a4] [--resume]

Each network has a folder in `--out` (cifar10-float, cifar10-w4a8, ...) and a recipe in `recipes/`. The quantized ones
start from the float network and are scored by the exact integer arithmetic; their QNet is run by ONNX Runtime too, on
images spread over the test set. Prints one JSON object. What was interrupted goes on with `--resume` and ends with the
same weights; what is finished is not trained again.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepdive import models
from deepdive.qnet.preprocess import Preprocess
from deepdive.qnet.witness import run_onnx_runtime
from deepdive.quantization import Facts
from deepdive.training import (
    Data,
    Job,
    Normalize,
    Trained,
    Watcher,
    lowered,
    open_data,
    progress_bar,
    quantized,
    raw_pixels,
    read_recipe,
    train,
)

ROOT = Path(__file__).resolve().parent.parent
MODEL = "efficientnet_compact_32"
FLOAT = "float"
BATCH = 50


@dataclass(frozen=True)
class Run:
    """What every training of the benchmark shares."""

    data: Data
    out: Path
    resume: bool
    quiet: bool
    overrides: dict[str, Any]

    def train(self, name: str, network: nn.Module, job: Job, hooks: tuple[Any, ...] = ()) -> dict[str, Any]:
        """Train one network and describe what came of it."""
        began = time.process_time()
        if self.quiet:
            trained = train(network, self.data, job, hooks, Watcher())
        else:
            with progress_bar() as bar:
                trained = train(network, self.data, job, hooks, bar)
        return {"recipe": f"recipes/cifar10-{name}.toml", **facts(trained), "cpu_seconds": time.process_time() - began}

    def job(self, name: str, inputs: Any) -> Job:
        """The training of one network."""
        recipe = read_recipe(ROOT / "recipes" / f"cifar10-{name}.toml", self.overrides)
        return Job(MODEL, recipe, inputs, self.out / f"cifar10-{name}", resume=self.resume, cpu=True)


def facts(trained: Trained) -> dict[str, Any]:
    """What a training reached."""
    return {
        "epochs": len(trained.rows),
        "test_accuracy": trained.test.accuracy,
        "test_images": trained.test.images,
        "wall_seconds": sum(row["seconds"] for row in trained.rows),
        "network": str(trained.network_file),
    }


def count_macs(network: nn.Module, resolution: int) -> int:
    """Multiply-accumulates of all convolutions and linear layers for one image."""
    total = 0

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, Tensor)
        total += output[0].numel() * weight[0].numel()

    handles = [m.register_forward_hook(hook) for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, resolution, resolution))
    for handle in handles:
        handle.remove()
    return total


def train_quantized(run: Run, name: str, weights: Path, witnessed: int) -> dict[str, Any]:
    """Train one quantized network from the float one, lower it, and let ONNX Runtime classify test images."""
    spec = models.find(MODEL)
    network = models.build(MODEL, num_classes=len(run.data.train.classes))
    models.load_weights(network, models.read_checkpoint(weights), f"'{weights}'")
    job = run.job(name, raw_pixels)
    torch.manual_seed(job.recipe.seed)
    integer = quantized(network, spec, job.recipe)
    result = run.train(name, integer.network, job, integer.hooks)
    preprocess = Preprocess((spec.resolution, spec.resolution), spec.resize_short, spec.interpolation)
    net = lowered(integer.network, run.data.test, Facts(MODEL, preprocess, tuple(run.data.train.classes)), job.out)
    # Every tenth image or so: a test set in the order of its classes starts with one of them.
    rows = np.linspace(0, len(run.data.test) - 1, min(witnessed, len(run.data.test))).astype(int)
    right = same = 0
    integer.network.eval()
    for first in range(0, len(rows), BATCH):
        some = rows[first : first + BATCH]
        pixels = np.ascontiguousarray(run.data.test.pixels(some))
        codes = run_onnx_runtime(net, pixels)[net.output.name].reshape(len(some), -1)
        given = integer.network(torch.from_numpy(pixels)).numpy()
        same += int((net.output.dequantize(codes).astype(np.float32) == given).all(1).sum())
        right += int((codes.argmax(1) == run.data.test.labels[some]).sum())
    return {
        **result,
        "onnx_runtime_images": len(rows),
        "onnx_runtime_equal": same,
        "onnx_runtime_accuracy": right / max(1, len(rows)),
    }


def main() -> None:
    """Train and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "cifar10")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--networks", nargs="+", default=[FLOAT, "w8a8", "w4a8", "w4a4"], help="recipes cifar10-NAME.toml"
    )
    parser.add_argument("--weights", type=Path, help="float network to start from, if not that in --out")
    parser.add_argument("--epochs", type=int, help="instead of the recipes'")
    parser.add_argument("--witnessed", type=int, default=1000, help="test images for ONNX Runtime")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    given = parser.parse_args()

    torch.set_num_threads(given.threads)
    spec = models.find(MODEL)
    data = open_data(given.data, Preprocess((spec.resolution,) * 2, spec.resize_short, spec.interpolation))
    run = Run(data, given.out, given.resume, given.quiet, {"epochs": given.epochs})
    network = models.build(MODEL, num_classes=len(data.train.classes))
    report: dict[str, Any] = {
        "model": MODEL,
        "mmacs": count_macs(network, spec.resolution) / 1e6,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "threads": given.threads,
    }
    for name in given.networks:
        if name == FLOAT:
            job = run.job(name, Normalize(spec.mean, spec.std))
            torch.manual_seed(job.recipe.seed)
            report[name] = run.train(name, models.build(MODEL, num_classes=len(data.train.classes)), job)
        else:
            weights = given.weights or given.out / f"cifar10-{FLOAT}" / "network.safetensors"
            report[name] = train_quantized(run, name, weights, given.witnessed)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
