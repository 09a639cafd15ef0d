"""Training: data, augmentation, the loop, checkpoints, metrics."""

from deepdive.training.augment import Augment
from deepdive.training.bar import Standing, Watcher, progress_bar
from deepdive.training.batches import Batch, Normalize, raw_pixels
from deepdive.training.data import open_data
from deepdive.training.evaluate import Score, evaluate
from deepdive.training.hooks import Distill, FreezeBatchNorm, Hook
from deepdive.training.image_set import Data, ImageSet, Skipped
from deepdive.training.loop import Job, Trained, train
from deepdive.training.quantized import Damp, LowerBits, Quantized, lowered, quantized
from deepdive.training.recipe import Optimizer, Quantization, Recipe, Schedule, parse_setting, read_recipe
from deepdive.training.start import Wish, start_training

__all__ = [
    "Augment",
    "Batch",
    "Damp",
    "Data",
    "Distill",
    "FreezeBatchNorm",
    "Hook",
    "ImageSet",
    "Job",
    "LowerBits",
    "Normalize",
    "Optimizer",
    "Quantization",
    "Quantized",
    "Recipe",
    "Schedule",
    "Score",
    "Skipped",
    "Standing",
    "Trained",
    "Watcher",
    "Wish",
    "evaluate",
    "lowered",
    "open_data",
    "parse_setting",
    "progress_bar",
    "quantized",
    "raw_pixels",
    "read_recipe",
    "start_training",
    "train",
]
