"""The integer network: feature maps and operators in order of execution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepdive.errors import DeepDiveError
from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.ops import Node
from deepdive.qnet.preprocess import Preprocess
from deepdive.qnet.schedule import Schedule


@dataclass(frozen=True, eq=False)
class QNet:
    """A network of integer operators; a value: nothing changes it after it is made.

    Parameters
    ----------
    name
        For people; sanitised wherever it reaches a file.
    input
        The network's input codes, NHWC without the N.
    nodes
        In order of execution; the last one's output is the network's output.
    preprocess
        From a photograph to input codes; None when unknown.
    labels
        Class names in order of the output channels, or empty.
    schedule
        How somebody else's accelerator computes it, for comparison; None when unknown.

    Raises
    ------
    DeepDiveError
        Naming the node, when the graph or a node breaks the contract.
    """

    name: str
    input: FeatureMap
    nodes: tuple[Node, ...]
    preprocess: Preprocess | None = None
    labels: tuple[str, ...] = ()
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        if not self.nodes:
            raise DeepDiveError(f"Network '{self.name}' has no nodes.")
        maps = {self.input.name: self.input}
        unread = {self.input.name}
        for node in self.nodes:
            if node.name in maps:
                raise DeepDiveError(f"Two feature maps are named '{node.name}'; names must be unique.")
            for name in node.inputs:
                if name not in maps:
                    raise DeepDiveError(f"'{node.name}' reads '{name}', which no earlier node writes.")
            node.check(*(maps[name] for name in node.inputs))
            if len(node.output.zero_points) != 1:
                raise DeepDiveError(f"'{node.name}' has a zero point per channel; only the network input may.")
            unread -= set(node.inputs)
            maps[node.name] = node.output
            unread.add(node.name)
        if unread != {self.output.name}:
            raise DeepDiveError(f"Nobody reads {sorted(unread - {self.output.name})}; remove what is not used.")
        if self.labels and len(self.labels) != self.output.shape[2]:
            raise DeepDiveError(f"{len(self.labels)} labels do not fit {self.output.shape[2]} output channels.")
        if self.schedule:
            self.schedule.check({node.name for node in self.nodes})
        object.__setattr__(self, "_maps", maps)

    @property
    def output(self) -> FeatureMap:
        """What the last node writes."""
        return self.nodes[-1].output

    @property
    def maps(self) -> dict[str, FeatureMap]:
        """Every feature map by name, the input first."""
        return dict(self._maps)  # type: ignore[attr-defined]

    def inputs_of(self, node: Node) -> tuple[FeatureMap, ...]:
        """The feature maps that `node` reads."""
        return tuple(self._maps[name] for name in node.inputs)  # type: ignore[attr-defined]

    def readers(self, name: str) -> Iterator[Node]:
        """The nodes that read the feature map `name`."""
        return (node for node in self.nodes if name in node.inputs)

    def macs(self) -> int:
        """Multiply-accumulates a frame."""
        return sum(node.macs() for node in self.nodes)

    def run(self, images: np.ndarray, *, every: bool = False) -> np.ndarray | dict[str, np.ndarray]:
        """Execute the contract on a batch with the NumPy reference.

        Parameters
        ----------
        images
            Input codes, (batch, height, width, channels), uint8 (int8 for a signed input).
        every
            Return every feature map by name instead of the output.

        Returns
        -------
        Codes (batch, height, width, channels) of the output, or of all feature maps.
        """
        from deepdive.qnet.reference import run

        maps = run(self, images)
        return maps if every else maps[self.output.name]

    def save(self, path: str | Path) -> None:
        """Write the network as an ONNX file (whole or not at all)."""
        from deepdive.qnet.onnx_file import save

        save(self, path)

    def export_qonnx(self, path: str | Path) -> None:
        """Write the network as QONNX, for other tools (whole or not at all); see `deepdive.qnet.qonnx_writer`."""
        from deepdive.files import write_bytes
        from deepdive.qnet.qonnx_writer import to_qonnx

        write_bytes(path, to_qonnx(self).SerializeToString(deterministic=True))
