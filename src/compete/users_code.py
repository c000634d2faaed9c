"""Python files of a workspace, which its user writes: a family of base models, a metric."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from compete.errors import UserError


def import_file(file: Path, shown: str) -> ModuleType:
    """Import a file, which runs it; raises UserError, which calls it `shown`, for whatever that raises."""
    try:
        return _imported(file)
    except (Exception, SystemExit) as error:  # whatever the user's file raises is the user's to see
        raise UserError(f"{shown} cannot be imported: {type(error).__name__}: {error}") from error


def _imported(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"compete_workspace_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # pydantic and dataclasses look a class's module up by its name
    spec.loader.exec_module(module)
    return module
