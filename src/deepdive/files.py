"""Writing files so that nothing half-written stays: a temporary name beside the target, then a rename."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deepdive.errors import DeepDiveError


def cache_folder() -> Path:
    """Where what can be made again is kept: `$DEEPDIVE_CACHE`, or `deepdive` in the user's cache folder."""
    named = os.environ.get("DEEPDIVE_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deepdive"


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the target's folder; on success it replaces `target`, on failure it is removed.

    Raises
    ------
    DeepDiveError
        When the folder cannot be written or the disk is full.
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        os.close(handle)
    except OSError as error:
        raise cannot_write(target, error) from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def alone(name: Path) -> Iterator[None]:
    """Hold the lock file `name`: of several processes one goes on, the others wait until it is done, or has died.

    Raises
    ------
    DeepDiveError
        When the folder cannot be written.
    """
    try:
        name.parent.mkdir(parents=True, exist_ok=True)
        with name.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise cannot_write(name, error) from error


def write_text(target: str | Path, text: str) -> None:
    """Write `text` (UTF-8) to `target`, whole or not at all."""
    with atomic_path(target) as path:
        path.write_text(text, encoding="utf-8")


def write_bytes(target: str | Path, data: bytes) -> None:
    """Write `data` to `target`, whole or not at all."""
    with atomic_path(target) as path:
        path.write_bytes(data)


@contextmanager
def atomic_folder(target: str | Path, *, marker: str) -> Iterator[Path]:
    """Yield a new folder beside `target`; on success it takes the target's place, on failure it is removed.

    Parameters
    ----------
    target
        The folder to write. An existing one is replaced only if it is empty or holds `marker`.
    marker
        Name of a file that tells a folder written by DeepDive from one of the user's own.
    """
    target = Path(target)
    if target.exists() and not target.is_dir():
        raise DeepDiveError(f"'{target}' is a file; name a folder to write to.")
    if target.is_dir() and any(target.iterdir()) and not (target / marker).exists():
        raise DeepDiveError(f"'{target}' holds files that DeepDive did not write (no {marker}); name an empty folder.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        temporary.chmod(0o755)
    except OSError as error:
        raise cannot_write(target, error) from error
    try:
        yield temporary
        if target.is_dir():
            old = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.old."))
            target.replace(old / "old")
            temporary.replace(target)
            shutil.rmtree(old, ignore_errors=True)
        else:
            temporary.replace(target)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def cannot_write(target: Path, error: OSError) -> DeepDiveError:
    """The sentence for a file or folder that the system will not write."""
    reason = (error.strerror or str(error)).lower()
    return DeepDiveError(f"Cannot write '{target}': {reason}; free some space or name another place.")
