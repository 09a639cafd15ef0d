"""What the external memory of an RTL design holds in the beginning."""

from __future__ import annotations

from deepdive.backends.vitis.stages.shared_numbers import SharedNumbers
from deepdive.hardware.rtl.dense import weight_words
from deepdive.hardware.rtl.weight_reader import memory_image
from deepdive.hardware.stages import Dense, SharedBody, Stage
from deepdive.qnet import Conv, Linear, QNet


def memory_contents(stage: Stage, net: QNet) -> dict[str, bytes]:
    """The bytes of the regions that a stage reads and never writes, by name; of shared stages those of their C++."""
    if isinstance(stage, SharedBody) and stage.weights == "external":
        return {f"{stage.name}_weights": b"".join(image.tobytes() for image in SharedNumbers(stage, net).images)}
    if isinstance(stage, Dense) and stage.weights == "external":
        node = next(node for node in net.nodes if node.name == stage.node)
        assert isinstance(node, Conv | Linear)
        return {f"{stage.name}_weights": memory_image(weight_words(stage, node)[0])}
    return {}
