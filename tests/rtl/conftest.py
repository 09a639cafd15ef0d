"""What the tests of RTL share, and nothing at all without the extra `rtl`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

collect_ignore_glob = [] if find_spec("amaranth") else ["test_*.py"]


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What several tests of a file use and takes long to make; one process runs them all (`tests/conftest.py`)."""
    return tmp_path_factory.mktemp("module")
