"""Who may import whom, read from the source: also inside functions, also for type checking only."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import compete

PACKAGE = Path(compete.__file__).parent

# Left to right, as data flows.
FLOW = ["competition", "base_models", "oof", "stacking", "submissions", "experiments", "code_competitions", "reporting"]
MAY_IMPORT = {room: set(FLOW[:place]) for place, room in enumerate(FLOW)}
for room in ("oof", "experiments", "code_competitions", "reporting"):
    MAY_IMPORT[room] |= {"execution"}
MAY_IMPORT["execution"] = set()
MAY_IMPORT["planning"] = {"competition", "base_models"}
for room in ("experiments", "code_competitions", "reporting"):
    MAY_IMPORT[room] |= {"planning"}
MAY_IMPORT["workflows"] = {*FLOW, "execution", "planning"}
MAY_IMPORT["cli"] = {*FLOW, "execution", "planning", "workflows"}

# Rooms within rooms: what a folder imports nothing of, in the room it lies in.
APART = {
    "base_models/pretrained": ["linear", "boosted", "ffnn", "classifier", "embeddings", "generator", "recipes"],
    "base_models/miniatures": [
        "linear",
        "boosted",
        "ffnn",
        "classifier",
        "embeddings",
        "generator",
        "pretrained",
        "recipes",
    ],
    "stacking/ensemble": [
        "stack_recipes",
        "fitting",
        "members",
        "inventory",
        "scoring",
        "choosing",
        "building",
        "comparison",
        "leave_one_out",
        "new_texts",
        "stacker",
    ],
    "submissions/kaggle": ["leaderboard", "csv_file", "targets", "sending"],
    "submissions/leaderboard": ["kaggle", "targets", "sending"],
    "reporting/figures": ["terminal", "page"],
    "reporting/terminal": ["figures", "page", "view"],
}

AT_THE_TOP = {
    "__init__.py": {"competition"},
    "opened.py": {"code_competitions", "competition", "oof", "reporting", "submissions", "workflows"},
}

LIGHT_FOR_CLI = {"typer", "compete.cli.opening", "compete.cli.options", "compete.competition.workspace"}


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Full names of what a module imports, wherever it does; of `from a import b` both a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "relative imports are banned"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_in(names: Iterator[str]) -> set[str]:
    parts = [name.split(".") for name in names]
    return {part[1] for part in parts if part[0] == "compete" and len(part) > 1 and part[1] in MAY_IMPORT}


def top_level_imports(tree: ast.Module) -> set[str]:
    """Modules that are imported when the module itself is; what stands under `if TYPE_CHECKING` is not."""
    statements = [
        node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    ]
    pending: list[ast.AST] = list(statements)
    found: set[str] = set()
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            pending += ast.iter_child_nodes(node)
    return found


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


MODULES = sorted(PACKAGE.rglob("*.py"))
CLI_MODULES = [path for path in MODULES if path.parent.name == "cli" and path.name not in ("main.py", "opening.py")]


def shown(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_every_room_is_known() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(MAY_IMPORT)


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_a_room_imports_only_rooms_to_its_left(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0]
    allowed = MAY_IMPORT[room] | {room} if room in MAY_IMPORT else AT_THE_TOP.get(room, set())
    assert rooms_in(imported_modules(parse(path))) <= allowed


@pytest.mark.parametrize("folder", APART)
def test_a_room_within_a_room_stays_apart(folder: str) -> None:
    room = folder.split("/")[0]
    forbidden = {f"compete.{room}.{name}" for name in APART[folder]}
    assert all((PACKAGE / room / name).exists() or (PACKAGE / room / f"{name}.py").exists() for name in APART[folder])
    for path in (PACKAGE / folder).rglob("*.py"):
        names = set(imported_modules(parse(path)))
        assert not {name for name in names if any(f"{name}.".startswith(f"{each}.") for each in forbidden)}, path


def files_imported(path: Path) -> set[Path]:
    """The package's own files that a file imports, wherever in it; not its folder's `__init__`."""
    found = set()
    for name in imported_modules(parse(path)):
        if name.startswith("compete."):
            target = PACKAGE.joinpath(*name.split(".")[1:]).with_suffix(".py")
            found |= {target} if target.is_file() else set()
    return found


def circle_in(arrows: dict[Path, set[Path]]) -> list[Path]:
    """Files that import each other in a ring; empty where there are none."""
    done: set[Path] = set()

    def walk(path: Path, trail: list[Path]) -> list[Path]:
        if path in trail:
            return trail[trail.index(path) :]
        if path in done:
            return []
        for target in sorted(arrows.get(path, ())):
            if ring := walk(target, [*trail, path]):
                return ring
        done.add(path)
        return []

    return next((ring for path in sorted(arrows) if (ring := walk(path, []))), [])


def test_no_files_import_each_other_in_a_circle() -> None:
    assert [shown(path) for path in circle_in({path: files_imported(path) for path in MODULES})] == []


def test_a_circle_is_found() -> None:
    a, b, c, d = (Path(name) for name in "abcd")
    assert circle_in({a: {b}, b: {c}, c: {b, d}, d: set()}) == [b, c]
    assert circle_in({a: {b, c}, b: {d}, c: {d}, d: set()}) == []


@pytest.mark.parametrize("path", CLI_MODULES, ids=shown)
def test_a_command_imports_nothing_heavy_before_it_runs(path: Path) -> None:
    heavy = {name for name in top_level_imports(parse(path)) if name.split(".")[0] not in sys.stdlib_module_names}
    assert heavy <= LIGHT_FOR_CLI


PLANTED = """
from __future__ import annotations
import json
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from compete.oof.state import State
try:
    import pandas
except ImportError:
    from compete import stacking
def command():
    from compete.reporting import tables
    import compete.cli.main
"""


def test_the_checks_themselves_see_every_kind_of_import() -> None:
    tree = ast.parse(PLANTED)
    assert rooms_in(imported_modules(tree)) == {"oof", "stacking", "reporting", "cli"}
    assert top_level_imports(tree) == {"__future__", "json", "typing", "pandas", "compete"}
