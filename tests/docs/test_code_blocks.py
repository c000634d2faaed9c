"""Every block of code in the documentation runs: Python and commands for real, TOML through its own readers.

A page is played from top to bottom in a copy of a small workspace. What cannot be run there (Kaggle, benchmarks on real
data) is read by the parser that would read it.
"""

from __future__ import annotations

import ast
import csv
import re
import shutil
import tomllib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import typer
import typer.main

from compete.base_models.recipes import FAMILIES, load_recipe
from compete.cli.main import app
from compete.competition.declaration import CompetitionDeclaration, Size, read_declaration
from compete.competition.workspace import Workspace
from compete.stacking.stack_recipes import load_with_parts
from support.documented import Type, build_documented, command_line, write_recipes
from support.pages import DOCS, PAGES, ROOT, Block, blocks_of, shown, spans_of

pytestmark = pytest.mark.slow

LANGUAGES = {"console", "python", "toml", "text"}
TUTORIAL = DOCS / "tutorial.md"
PLAYED = [page for page in PAGES if page != TUTORIAL and any(block.language != "text" for block in blocks_of(page))]
PAINTED = {"docs/commands/report.md", "docs/python.md"}  # on the other pages, reports are about their text
GROUP: Any = typer.main.get_command(app)
# Names that a page takes as given, where its reader brings them along.
ARRAYS = np.random.default_rng(0).random((2, 120, 3))
GIVEN = {"docs/stacking.md": {"oof": ARRAYS, "labels": (ARRAYS.mean(axis=0) > 0.55).astype(np.int8), "test": ARRAYS}}


@pytest.fixture
def type_command(monkeypatch: pytest.MonkeyPatch) -> Type:
    return command_line(monkeypatch)


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `compete init` copies recipes from, in the place of the shipped ones."""
    folder = tmp_path_factory.mktemp("starter")
    write_recipes(folder)
    return folder


@pytest.fixture(scope="module")
def trained_once(untouched: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("documented")
    build_documented(untouched.root, root)
    return root


@pytest.fixture
def documented(trained_once: Path, starter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the workspace for one page's examples; `compete init` makes others like it."""
    root = tmp_path / "workspace"
    shutil.copytree(trained_once, root)
    monkeypatch.setattr("compete.competition.starter.starter_folder", lambda: starter)
    return root


def needs_kaggle(words: Sequence[str]) -> bool:
    return words[0] == "download" or "--refresh" in words


def parse(words: Sequence[str]) -> None:
    """Let the command line's own parser read a command; it raises for what it does not know."""
    try:
        with GROUP.make_context("compete", list(words)):
            pass
        command = GROUP.commands.get(words[0])
        assert command is not None or words[0].startswith("-"), f"no command {words[0]}"
        rest = list(words[1:])
        while command is not None and rest and hasattr(command, "commands"):
            assert rest[0] in command.commands or rest[0].startswith("-"), f"no command {' '.join(words)}"
            command, rest = command.commands.get(rest[0], command), rest[1:]
        if command is not None:
            with command.make_context(words[0], rest):
                pass
    except typer.Exit:  # --help and --version say what they say, and end
        pass


def is_a_commands_name(words: Sequence[str]) -> bool:
    """Whether the words name a command, and say nothing of what it is given."""
    found = GROUP
    for word in words:
        found = getattr(found, "commands", {}).get(word)
    return found is not None


def check_script(words: Sequence[str]) -> None:
    """A benchmark exists and knows every option that it is given."""
    source = (ROOT / words[0]).read_text(encoding="utf-8")
    known = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
    for word in words[1:]:
        if word.startswith("--"):
            # Options made in a loop are there as their names.
            assert word in known or word.removeprefix("--") in known, f"{words[0]} has no option {word}"


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def sections(text: str) -> list[str]:
    """A TOML text cut before every line that opens a table."""
    return re.split(r"^(?=\[)", text, flags=re.MULTILINE)


def with_section(declaration: str, change: str) -> str:
    """competition.toml with the tables of `change` in the place of its own."""
    opened = {section.partition("]")[0] for section in sections(change) if section.startswith("[")}
    kept = [section for section in sections(declaration) if section.partition("]")[0] not in opened]
    return "\n".join([*kept, change])


class Reader:
    """Does what a page says, in a folder."""

    def __init__(self, folder: Path, type_command: Type, given: dict[str, Any] | None = None) -> None:
        self.folder = folder
        self.type_command = type_command
        self.families = folder / "families.py"
        self.names: dict[str, Any] = {"__name__": "page", **(given or {})}
        self.printed = ""

    def play(self, block: Block) -> None:
        if block.language == "console":
            self.printed = ""
            for words in block.commands():
                self.command(block, words)
        elif block.language == "python":
            self.python(block)
        elif block.language == "toml":
            self.toml(block)

    def python(self, block: Block) -> None:
        """Run it; a block that is a file is written too, for recipes to name."""
        if block.file is not None:
            (self.folder / block.file).write_text(block.text, encoding="utf-8")
        lines = "\n" * (block.line - 1) + block.text  # so that a traceback names the page's line
        with pytest.MonkeyPatch.context() as changed:
            changed.chdir(self.folder)
            exec(compile(lines, str(block.page), "exec", dont_inherit=True), self.names)

    def toml(self, block: Block) -> None:
        raw = tomllib.loads(block.text)
        if block.file is not None and block.file.startswith(("base_models/", "stacking/")):
            path = self.folder / block.file
            path.write_text(block.text, encoding="utf-8")
            self.recipe(path)
            if raw.get("family") in FAMILIES:
                path.unlink()  # or the page's `--all` would train it
            return
        assert set(raw) <= set(CompetitionDeclaration.model_fields), f"{block}: neither a recipe nor competition.toml"
        self.competition(block.text, raw)

    def recipe(self, path: Path) -> None:
        if path.parent.name == "stacking":
            load_with_parts(Workspace(self.folder), [path.stem])
            return
        for size in get_args(Size):
            load_recipe(Workspace(self.folder, size), path.stem)

    def competition(self, text: str, raw: dict[str, Any]) -> None:
        """A whole competition.toml, or tables of one, in a workspace of its own."""
        other = self.folder / "other"
        other.mkdir(exist_ok=True)
        whole = text if "data" in raw else with_section((self.folder / "competition.toml").read_text("utf-8"), text)
        for folder in raw.get("checkpoints", {}).values():
            (other / folder).mkdir(parents=True, exist_ok=True)
        (other / "competition.toml").write_text(whole, encoding="utf-8")
        read_declaration(Workspace(other))

    def command(self, block: Block, words: Sequence[str]) -> None:
        program, rest = words[0], words[1:]
        if program == "compete":
            parse(rest)
            if not needs_kaggle(rest):
                self.run(block, rest)
        elif program == "cd":
            self.folder = (self.folder / rest[0]).resolve(strict=True)
            if self.families.exists():
                (self.folder / "families.py").write_bytes(self.families.read_bytes())
        elif program == "mkdir":
            (self.folder / rest[0]).mkdir()
        elif program == "make":
            assert set(rest) <= make_targets(), f"{block}: no such target"
        elif program == "python" and rest[0].startswith("benchmarks/"):
            check_script(rest)
        else:
            raise AssertionError(f"{block}: the tests do not know how to run {program}")

    def run(self, block: Block, words: Sequence[str]) -> None:
        code, printed = self.type_command(self.folder, words)
        assert code == 0, f"{block}: compete {' '.join(words)}\n{printed}"
        self.printed += printed


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_block_says_what_it_is(page: Path) -> None:
    for block in blocks_of(page):
        assert block.language in LANGUAGES, f"{block}: {block.language or 'no language'}"


@pytest.mark.parametrize("page", PLAYED, ids=shown)
def test_every_block_of_the_page_runs(
    page: Path, documented: Path, type_command: Type, request: pytest.FixtureRequest
) -> None:
    if shown(page) not in PAINTED:
        request.getfixturevalue("unpainted")
    (documented / "docs").mkdir()
    (documented / "docs" / "published_submissions.csv").write_bytes((DOCS / "published_submissions.csv").read_bytes())
    reader = Reader(documented, type_command, GIVEN.get(shown(page)))
    for block in blocks_of(page):
        reader.play(block)


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_command_that_a_sentence_gives_can_be_typed(page: Path) -> None:
    for span in spans_of(page):
        program, *words = span.split(" # ")[0].split()
        if program == "compete" and words and not is_a_commands_name(words):
            parse(words)
        elif program == "python" and words and words[0].startswith("benchmarks/"):
            check_script(words)
        elif program == "make" and words:
            assert set(words) <= make_targets(), span


class Tutorial(Reader):
    """The tutorial is played with the recipes that come with compete, on fewer rows than it has itself."""

    def command(self, block: Block, words: Sequence[str]) -> None:
        super().command(block, words)
        if words[:2] == ["compete", "demo-data"]:
            for name, rows in (("train", 150), ("test", 60), ("sample_submission", 60), ("solution", 60)):
                keep_rows(self.folder / words[2] / f"{name}.csv", rows)

    def competition(self, text: str, raw: dict[str, Any]) -> None:
        """What the tutorial changes is changed."""
        file = self.folder / "competition.toml"
        file.write_text(with_section(file.read_text(encoding="utf-8"), text), encoding="utf-8")
        read_declaration(Workspace(self.folder))


def keep_rows(path: Path, count: int) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[: count + 1]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def heads(text: str) -> Iterable[str]:
    """The heads of the tables in a text, their columns one space apart."""
    lines = text.splitlines()
    for line, below in pairwise(lines):
        if below and not below.strip("─"):
            yield " ".join(line.split())


def test_the_tutorial_can_be_followed(tmp_path: Path, type_command: Type, unpainted: None) -> None:
    reader, checked = Tutorial(tmp_path, type_command), 0
    for block in blocks_of(TUTORIAL):
        reader.play(block)
        if block.language == "text":
            shown_heads, real = list(heads(block.text)), set(heads(reader.printed))
            assert set(shown_heads) <= real, f"{block}: the command prints {sorted(real)}"
            checked += len(shown_heads)
    assert checked > 8
    assert (tmp_path / "emotions" / "report" / "index.html").is_file()


# The checks themselves: what would let a wrong page pass.


def test_an_unknown_option_is_not_parsed() -> None:
    parse(["train-base", "linear", "--fold", "1"])
    with pytest.raises(Exception, match="--folds"):
        parse(["train-base", "--folds", "1"])
    with pytest.raises(AssertionError, match="no command"):
        parse(["trian-base"])
    assert is_a_commands_name(["jobs", "run"]) and is_a_commands_name(["stack"])
    assert not is_a_commands_name(["jobs", "runn"]) and not is_a_commands_name(["train-base", "linear"])
    parse(["jobs", "run", "a.job"])
    with pytest.raises(AssertionError, match="no command jobs runn"):
        parse(["jobs", "runn", "a.job"])
    with pytest.raises(Exception, match="--outt"):
        parse(["jobs", "run", "a.job", "--outt", "b"])
    with pytest.raises(AssertionError, match="has no option --trian"):
        check_script(["benchmarks/rehearsals.py", "--trian", "train.csv"])
    with pytest.raises(FileNotFoundError):
        check_script(["benchmarks/nothing.py"])


def test_a_block_that_fails_is_named(documented: Path, type_command: Type) -> None:
    reader, page = Reader(documented, type_command), ROOT / "README.md"
    with pytest.raises(AssertionError, match=r"README.md:7: compete stack nothing"):
        reader.play(Block(page, 7, "console", "compete stack nothing\n"))
    with pytest.raises(NameError):
        reader.play(Block(page, 7, "python", "never_defined\n"))
    for wrong in ('[submission]\ntarget = "nowhere"\n', "[folds]\nk = 1\n", "colour = 1\n"):
        with pytest.raises((Exception, AssertionError), match=r"target|folds.k|neither"):
            reader.play(Block(page, 7, "toml", wrong))
    with pytest.raises(Exception, match="unknown key"):
        reader.play(Block(page, 7, "toml", '# base_models/x.toml\nfamily = "linear"\n[settings]\nrate = 1\n'))
    with pytest.raises(AssertionError, match="do not know"):
        reader.play(Block(page, 7, "console", "rm -rf /\n"))
