"""CIFAR-10: trains the float network and says what it reached, at which size and in which time.

    python benchmarks/cifar10.py --data ../shared/data/cifar10 --out runs/cifar10-float [--resume]

Prints one JSON object. A run that was interrupted goes on with `--resume` and ends with the same weights.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from deepdive import models
from deepdive.qnet.preprocess import Preprocess
from deepdive.training import Job, Normalize, Watcher, open_data, progress_bar, read_recipe, train

ROOT = Path(__file__).resolve().parent.parent
MODEL = "efficientnet_compact_32"


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


def main() -> None:
    """Train and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "cifar10")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "cifar10-float.toml")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    given = parser.parse_args()

    torch.set_num_threads(given.threads)
    recipe = read_recipe(given.recipe, {"epochs": given.epochs})
    spec = models.find(MODEL)
    size = (spec.resolution, spec.resolution)
    data = open_data(given.data, Preprocess(size, spec.resize_short, spec.interpolation))
    torch.manual_seed(recipe.seed)
    network = models.build(MODEL, num_classes=len(data.train.classes))
    macs = count_macs(network, spec.resolution)
    job = Job(MODEL, recipe, Normalize(spec.mean, spec.std), given.out, resume=given.resume, cpu=True)
    began = time.process_time()
    if given.quiet:
        trained = train(network, data, job, watcher=Watcher())
    else:
        with progress_bar() as bar:
            trained = train(network, data, job, watcher=bar)
    print(
        json.dumps(
            {
                "model": MODEL,
                "mmacs": macs / 1e6,
                "parameters": sum(parameter.numel() for parameter in network.parameters()),
                "epochs": recipe.epochs,
                "seed": recipe.seed,
                "test_accuracy": trained.test.accuracy,
                "test_images": trained.test.images,
                "wall_seconds": sum(row["seconds"] for row in trained.rows),
                "cpu_seconds_of_this_process": time.process_time() - began,
                "threads": given.threads,
                "network": str(trained.network_file),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
