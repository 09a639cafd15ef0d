"""Weights of a network that has not been trained yet."""

from __future__ import annotations

from torch import nn


def initialize(network: nn.Module) -> None:
    """Draw fresh weights in place: convolutions He-normal over their fan-out, linear layers N(0, 0.01), biases zero.

    Batch norm keeps PyTorch's own start, which is the identity.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
