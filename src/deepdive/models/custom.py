"""A network of the user's own, named as `package.module:callable`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from deepdive.errors import DeepDiveError, nearest


def find_object(model: str) -> Any:
    """Import what `package.module:callable` names; the current folder is searched last.

    Raises
    ------
    DeepDiveError
        When the module cannot be imported or has no such name.
    """
    module_name, _, attribute = model.partition(":")
    if not module_name or not attribute:
        raise DeepDiveError(f"'{model}' names no network; write package.module:callable.")
    # An installed command does not search the current folder, where a user's own module usually lies.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a user's module may fail in any way while it is imported
        raise DeepDiveError(
            f"Module '{module_name}' of '{model}' could not be imported ({type(error).__name__}: {error}); "
            "install it or run from its folder."
        ) from error
    found = getattr(module, attribute, None)
    if found is None:
        public = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise DeepDiveError(f"Module '{module_name}' has no '{attribute}'{nearest(attribute, public)}.")
    return found
