"""What a quantized training step costs on the CPU, beside the float step and beside other tools, in one run.

    python benchmarks/qat_step.py [--model efficientnet_compact_32] [--threads 1]

Batch 64, 32x32 pixels, SGD with momentum. All competitors take turns, step by step, so that whatever else the machine
does hits them alike; the median of 20 steps after warm-up counts, of wall time and of this process's CPU time. Peak
memory is that of a process of its own, above what it held before its first step. Prints one JSON object.
Brevitas and torchao are compared where they are installed: weights of 4 bits and activations of 8 in Brevitas, of 8 and
8 in torchao (PT2E, the x86 quantizer), which has no other for convolutions.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepdive import models
from deepdive.quantization import QConfig, prepare
from deepdive.training import FreezeBatchNorm, Normalize, raw_pixels
from deepdive.training.allocator import keep_freed_memory

BATCH = 64
WARM_UP, COUNTED = 8, 20
CLASSES = 10


@dataclass(frozen=True)
class Learner:
    """A network in training and what it wants of raw pixels."""

    network: nn.Module
    inputs: Callable[[Tensor], Tensor]


def float_network(name: str) -> Learner:
    """The network as it is."""
    spec = models.find(name)
    torch.manual_seed(0)
    return Learner(models.build(name, num_classes=CLASSES).train(), Normalize(spec.mean, spec.std))


def ours(name: str, frozen: bool) -> Learner:
    """DeepDive, W4A8, batch norm learning or frozen."""
    spec = models.find(name)
    size = (spec.resolution, spec.resolution)
    network = prepare(float_network(name).network, QConfig(4, 8), size=size, mean=spec.mean, std=spec.std).train()
    if frozen:
        network(torch.randint(0, 256, (BATCH, *size, 3), dtype=torch.uint8))
        FreezeBatchNorm(0).before_epoch(network, 0, 1)
    return Learner(network, raw_pixels)


def brevitas(name: str) -> Learner:
    """Brevitas, W4A8: its convolutions and activations in the place of torch's, scales per channel and learned."""
    import brevitas.nn as qnn
    from brevitas.quant import Int8WeightPerChannelFloat, Uint8ActPerTensorFloat

    def twin(old: nn.Module) -> nn.Module | None:
        match old:
            case nn.Conv2d():
                new = qnn.QuantConv2d(
                    old.in_channels,
                    old.out_channels,
                    old.kernel_size,
                    old.stride,
                    old.padding,
                    groups=old.groups,
                    bias=old.bias is not None,
                    weight_quant=Int8WeightPerChannelFloat,
                    weight_bit_width=4,
                )
                new.load_state_dict(old.state_dict(), strict=False)
                return new
            case nn.ReLU6():
                return qnn.QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=8)
        return None

    learner = float_network(name)
    for parent in list(learner.network.modules()):
        for child, module in list(parent.named_children()):
            new = twin(module)
            if new is not None:
                setattr(parent, child, new)
            elif isinstance(module, nn.Sequential) and isinstance(module[-1], nn.BatchNorm2d):
                module.append(qnn.QuantIdentity(bit_width=8))  # a projection's output, signed
    return learner


def torchao(name: str) -> Learner:
    """torchao, W8A8."""
    from torchao.quantization.pt2e import allow_exported_model_train_eval
    from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    learner, spec = float_network(name), models.find(name)
    example = torch.zeros(BATCH, 3, spec.resolution, spec.resolution)
    exported = torch.export.export(learner.network, (example,)).module()
    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config(is_qat=True))
    network = allow_exported_model_train_eval(prepare_qat_pt2e(exported, quantizer))
    network.train()  # gives nothing back here
    return Learner(network, learner.inputs)


COMPETITORS: dict[str, Callable[[str], Learner]] = {
    "float": float_network,
    "deepdive": lambda name: ours(name, frozen=False),
    "deepdive_frozen": lambda name: ours(name, frozen=True),
    "brevitas": brevitas,
    "torchao": torchao,
}


def stepper(learner: Learner, resolution: int) -> Callable[[], None]:
    """One step of training."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (BATCH, resolution, resolution, 3), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, CLASSES, (BATCH,), generator=generator)
    network = learner.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    wanted = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(wanted, 1e-3, momentum=0.9, nesterov=True)

    def step() -> None:
        loss = F.cross_entropy(network(learner.inputs(images)), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def peak_mib(who: str, model: str, threads: int) -> float:
    """Peak memory of training, in MiB, measured in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--model", model, "--threads", str(threads), "--memory", who]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def measure_memory(who: str, model: str) -> float:
    """What the first steps add to the process, in MiB."""
    step = stepper(COMPETITORS[who](model), models.find(model).resolution)
    before = resident_kib()
    for _ in range(4):
        step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def resident_kib() -> int:
    """Memory that this process holds now."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="efficientnet_compact_32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", choices=list(COMPETITORS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(given.threads)
    keep_freed_memory()
    if given.memory:
        print(measure_memory(given.memory, given.model))
        return

    steps: dict[str, Callable[[], None]] = {}
    skipped: dict[str, str] = {}
    for who, make in COMPETITORS.items():
        try:
            steps[who] = stepper(make(given.model), models.find(given.model).resolution)
            steps[who]()
        except ImportError as error:
            skipped[who] = str(error)
            steps.pop(who, None)
    times: dict[str, list[tuple[float, float]]] = {who: [] for who in steps}
    for _ in range(WARM_UP + COUNTED):
        for who, step in steps.items():
            wall, cpu = time.perf_counter(), time.process_time()
            step()
            times[who].append((time.perf_counter() - wall, time.process_time() - cpu))
    wall_s = {who: median(wall for wall, _ in seen[WARM_UP:]) for who, seen in times.items()}
    cpu_s = {who: median(cpu for _, cpu in seen[WARM_UP:]) for who, seen in times.items()}
    memory = {who: peak_mib(who, given.model, given.threads) for who in steps}
    report = {
        who: {
            "step_ms": round(1e3 * wall_s[who], 1),
            "cpu_ms": round(1e3 * cpu_s[who], 1),
            "ratio": round(wall_s[who] / wall_s["float"], 2),
            "cpu_ratio": round(cpu_s[who] / cpu_s["float"], 2),
            "peak_mib": round(memory[who]),
            "peak_ratio": round(memory[who] / memory["float"], 2),
        }
        for who in steps
    }
    print(json.dumps({"model": given.model, "threads": given.threads, **report, "skipped": skipped}, indent=2))


if __name__ == "__main__":
    main()
