"""The integer network: graph, operators, exact reference executor, ONNX file."""

from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.graph import QNet
from deepdive.qnet.ops import (
    Add,
    AvgPool,
    ChannelScale,
    Concat,
    Conv,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Node,
    Pad,
    Requantize,
    Table,
)
from deepdive.qnet.preprocess import Preprocess

__all__ = [
    "Add",
    "AvgPool",
    "ChannelScale",
    "Concat",
    "Conv",
    "FeatureMap",
    "Flatten",
    "GlobalAvgPool",
    "Linear",
    "MaxPool",
    "Node",
    "Pad",
    "Preprocess",
    "QNet",
    "Requantize",
    "Table",
]
