"""Post-training quantization of EfficientNet-Lite0: how often the integer network's top-1 is the float network's.

    python benchmarks/post_training.py [--weights 8] [--activations 8] [--calibrate sample|skimage] [--data FOLDER]
                                       [--source torch|onnx]

The 100 photographs of FOLDER (`labels.csv`: file,label) are classified by the float network and by the NumPy reference
of the integer network. Calibration uses the same photographs without labels, or (`skimage`) those of
`deepdive demo`, of which none is among the 100. With `--source onnx` the network is written as a float ONNX file by
PyTorch's exporter, read back by `deepdive import`, and ONNX Runtime running that file is the float network. Prints one
JSON object. Takes some minutes.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from deepdive import models
from deepdive.cli.demo import photographs
from deepdive.models.run import float_logits
from deepdive.qnet.importers import Photographs
from deepdive.qnet.preprocess import Preprocess, read_images
from deepdive.quantization import QuantizeOptions, quantize
from deepdive.quantization.from_onnx import Options, import_float

ROOT = Path(__file__).resolve().parent.parent
BATCH = 5


def show(line: str) -> None:
    """Progress, one line that is written over."""
    print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def runtime_classes(path: Path, reals: np.ndarray) -> np.ndarray:
    """Top-1 of a float ONNX file by ONNX Runtime; `reals` is (images, height, width, 3), float32."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    planes = np.ascontiguousarray(reals.transpose(0, 3, 1, 2))
    return np.array([session.run(None, {name: image[None]})[0][0].argmax() for image in planes])


def main() -> None:
    """Quantize, classify, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "imagenet-sample-100")
    parser.add_argument("--weights", type=int, default=8)
    parser.add_argument("--activations", type=int, default=8)
    parser.add_argument("--calibrate", choices=("sample", "skimage"), default="sample")
    parser.add_argument("--source", choices=("torch", "onnx"), default="torch")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()

    torch.set_num_threads(given.threads)
    spec = models.find("efficientnet_lite0")
    model = models.build("efficientnet_lite0", pretrained=True)
    preprocess = Preprocess((spec.resolution, spec.resolution), spec.resize_short, spec.interpolation)
    with (given.data / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    pictures = [given.data / row["file"] for row in rows]
    images = read_images(pictures, preprocess)
    labels = np.array([int(row["label"]) for row in rows])
    calibration = images if given.calibrate == "sample" else read_images(list(photographs().values()), preprocess)

    start = time.monotonic()
    if given.source == "torch":
        options = QuantizeOptions(progress=show)
        net = quantize(
            model, calibration, given.weights, given.activations, mean=spec.mean, std=spec.std, options=options
        )
        wanted = float_logits(model, spec, images).argmax(1)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "float.onnx"
            torch.onnx.export(model.eval(), (torch.zeros(1, 3, *preprocess.size),), str(path), dynamo=False)
            seen = Photographs(
                (spec.mean[0] / 255, spec.mean[1] / 255, spec.mean[2] / 255),
                (spec.std[0] / 255, spec.std[1] / 255, spec.std[2] / 255),
                spec.resize_short,
                spec.interpolation,
                tuple(pictures if given.calibrate == "sample" else photographs().values()),
            )
            net = import_float(path, Options(seen, given.weights, given.activations, progress=show)).net
            wanted = runtime_classes(path, seen.reals(images))
    seconds = time.monotonic() - start

    got = np.empty_like(wanted)
    for first in range(0, len(images), BATCH):
        codes = net.run(images[first : first + BATCH])
        assert isinstance(codes, np.ndarray)
        got[first : first + BATCH] = codes[:, 0, 0].argmax(1)
        show(f"{first + BATCH} of {len(images)} images")
    print(file=sys.stderr)
    result = {
        "network": spec.name,
        "source": given.source,
        "weights_bits": given.weights,
        "activations_bits": given.activations,
        "calibration": f"{given.calibrate}, {len(calibration)} images, no labels",
        "quantize_and_float_seconds": round(seconds, 1),
        "images": len(images),
        "float_top1_correct": int((wanted == labels).sum()),
        "integer_top1_correct": int((got == labels).sum()),
        "top1_agreement": int((got == wanted).sum()),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
