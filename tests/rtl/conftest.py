"""Without the extra `rtl` there is nothing to import here."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("amaranth") else ["test_*.py"]
