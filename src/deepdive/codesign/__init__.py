"""Co-design: which network, width, resolution and bits serve best on a board, within a budget."""

from deepdive.codesign.accuracy import AccuracyTable, EntryPoint, read_table
from deepdive.codesign.result import Outcome, Result
from deepdive.codesign.space import Candidate, Space
from deepdive.codesign.study import Sweep, run

__all__ = ["AccuracyTable", "Candidate", "EntryPoint", "Outcome", "Result", "Space", "Sweep", "read_table", "run"]
