"""The integer network: graph, operators, exact reference executor, ONNX file."""

from deepdive.qnet.feature_map import FeatureMap
from deepdive.qnet.graph import QNet
from deepdive.qnet.ops import Add, ChannelScale, Conv, GlobalAvgPool, Linear, Node, Requantize, Table
from deepdive.qnet.preprocess import Preprocess

__all__ = [
    "Add",
    "ChannelScale",
    "Conv",
    "FeatureMap",
    "GlobalAvgPool",
    "Linear",
    "Node",
    "Preprocess",
    "QNet",
    "Requantize",
    "Table",
]
