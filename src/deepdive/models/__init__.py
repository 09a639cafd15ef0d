"""The zoo: plain PyTorch networks that torch.fx can trace, their weights, and how their images are prepared."""

from deepdive.models.efficientnet_compact import EfficientNetCompact
from deepdive.models.efficientnet_lite import EfficientNetLite
from deepdive.models.labels import imagenet_labels
from deepdive.models.mobilenet_v1 import MobileNetV1
from deepdive.models.mobilenet_v2 import MobileNetV2
from deepdive.models.weights import load_weights, read_checkpoint
from deepdive.models.zoo import ModelSpec, build, find, names

__all__ = [
    "EfficientNetCompact",
    "EfficientNetLite",
    "MobileNetV1",
    "MobileNetV2",
    "ModelSpec",
    "build",
    "find",
    "imagenet_labels",
    "load_weights",
    "names",
    "read_checkpoint",
]
