"""`deepdive demo`: the whole flow on a pretrained network and photographs, in one command."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from PIL import Image

from deepdive.cli.console import out, progress
from deepdive.errors import DeepDiveError

if TYPE_CHECKING:
    from deepdive.qnet import QNet
    from deepdive.report import Classification

MODEL = "efficientnet_lite0"
PHOTOGRAPHS = {
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
    "astronaut": "astronaut.png",
    "motorcycle": "motorcycle_left.png",
    "camera": "camera.png",
    "coins": "coins.png",
    "galaxies": "hubble_deep_field.jpg",
}
"""Photographs that scikit-image carries."""
SIMULATED = ("cat", "motorcycle")
THUMBNAIL = 160


def demo(
    folder: Annotated[Path, typer.Option(help="Where to write the network, the project and the report.")] = Path(
        "demo"
    ),
    board: Annotated[str, typer.Option(help="A board of `deepdive boards`, or your own TOML file.")] = "zcu102",
) -> None:
    """Walk the whole flow: pretrained EfficientNet-Lite0 and photographs in, a bit-exact C++ accelerator out."""
    from deepdive.backends.build import write_build
    from deepdive.backends.writers import writers
    from deepdive.compiler.compile import compile as compile_network
    from deepdive.models import zoo
    from deepdive.models.run import float_logits
    from deepdive.qnet import Preprocess
    from deepdive.qnet.preprocess import read_images
    from deepdive.quantization import Facts, QuantizeOptions, quantize
    from deepdive.report import Report, print_classifications, print_design, print_verification, write_page
    from deepdive.simulation.verify import verify

    spec = zoo.find(MODEL)
    preprocess = Preprocess((spec.resolution, spec.resolution), spec.resize_short, spec.interpolation)
    paths = photographs()
    out.print(f"[bold]1[/] Load {spec.name} with its ImageNet weights, {spec.resolution}x{spec.resolution}")
    model = zoo.build(MODEL, pretrained=True)
    codes = read_images(list(paths.values()), preprocess)

    out.print(f"[bold]2[/] Quantize it, W8A8, calibrated on {len(codes)} photographs without labels")
    with progress("quantizing") as step:
        facts = Facts(spec.name, preprocess, spec.labels() if spec.labels else ())
        options = QuantizeOptions(facts=facts, progress=step)
        net = quantize(model, codes, mean=spec.mean, std=spec.std, options=options)

    net.save(folder / "net.onnx")
    out.print(
        f"[bold]3[/] Saved {folder / 'net.onnx'}; classify the photographs with float and with integer arithmetic"
    )
    wanted = float_logits(model, spec, codes)
    with progress("classifying", len(codes)) as step:
        seen = []
        for name, image, logits in zip(paths, codes, wanted, strict=True):
            seen.append(classify(name, image, logits, net))
            step(name)
    print_classifications(tuple(seen), out)

    out.print(f"[bold]4[/] Compile it for {board} and write the C++ project, and the runtime for the board")
    design = compile_network(net, board=board)
    build = write_build(design, net, folder / "build", writers("hls"))

    out.print(
        f"[bold]5[/] Compile the C++ and simulate it on {' and '.join(SIMULATED)}, every value of every unit compared"
    )
    with progress("verifying") as step:
        verification = verify(build, codes[[list(paths).index(name) for name in SIMULATED]], step)

    report = Report(net, design, verification, tuple(seen))
    print_verification(verification, out)
    print_design(report, out)
    write_page(report, folder / "report.html")
    out.print(f"[bold]6[/] Wrote {folder / 'report.html'}: open it in a browser")
    verification.check()


def photographs() -> dict[str, Path]:
    """Paths of the photographs by what they show."""
    try:
        import skimage.data
    except ImportError:
        raise DeepDiveError(
            "The demo's photographs come with scikit-image; run pip install 'deepdive-fpga[demo]'."
        ) from None
    folder = Path(skimage.data.__file__).parent
    return {name: folder / file for name, file in PHOTOGRAPHS.items()}


def classify(name: str, image: np.ndarray, logits: np.ndarray, net: QNet) -> Classification:
    """Top-5 of one photograph, uint8 (height, width, 3): of the float `logits` and of the integer network."""
    from deepdive.qnet.classify import best, logits_of
    from deepdive.report import Classification

    jpeg = io.BytesIO()
    Image.fromarray(image).resize((THUMBNAIL, THUMBNAIL)).save(jpeg, "JPEG", quality=85)
    integer = logits_of(net, image[None])[0]
    return Classification(name, jpeg.getvalue(), best(integer, net.labels), best(logits, net.labels))
