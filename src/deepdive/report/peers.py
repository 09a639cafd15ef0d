"""What others published of such networks on the ZCU102, each figure as its source states it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """A published accelerator; None where its source says nothing."""

    name: str
    network: str
    fps: float | None
    efficiency: str | None
    source: str


PEERS = (
    Peer(
        "DeepDive", "MobileNetV2", 30, "47.4 FPS/W", "Baharani et al., arXiv 2007.09490; FPS by its schedule, 200 MHz"
    ),
    Peer("DeepDive", "compact EfficientNet", None, "233.3 FPS/W", "Baharani et al., arXiv 2007.09490"),
    Peer("Vendor's DPU", "MobileNetV2-1.0-224", 764, None, "AMD, Vitis AI, three B4096 at 281 MHz"),
    Peer("Vendor's DPU", "EfficientNet-Lite0-224", 580, None, "AMD, Vitis AI, three B4096 at 281 MHz"),
    Peer("Full dataflow, INT8", "MobileNetV2", 1910, None, "Jiang, Yu and Ha, TCAD 2023"),
    Peer("Mobile-X", "not stated here", 190.9, "18.2 GOPS/W", "Mobile-X on ZCU102"),
)
BOARD = "zcu102"
