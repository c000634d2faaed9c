"""The generated parts of the documentation are those of today's code, and none is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

import generate
from compete.base_models.recipes import FAMILIES
from support.pages import DOCS, shown

PAGES = generate.pages()
SCHEMAS = [schema for _, schema, _ in (*generate.RECIPE, *generate.COMPETITION, *generate.STACK)]


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_a_generated_part_is_current(page: Path) -> None:
    assert page.exists() and page.read_text(encoding="utf-8") == PAGES[page], "run `python docs/generate.py`"


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_a_generated_part_stands_below_words_of_its_own(page: Path) -> None:
    marker = next(marker for marker in generate.MARKERS if marker in PAGES[page])
    by_hand = PAGES[page].partition(marker)[0]
    assert by_hand.startswith("# ")
    assert len(by_hand.split()) > 40, "when to use it, an example, what can go wrong"
    assert "```" in by_hand


def test_every_command_has_a_page_and_every_page_a_command() -> None:
    pages = {path.stem for path in (DOCS / "commands").glob("*.md")} - {"index"}
    assert pages == set(generate.command_names())


def test_what_stands_above_the_marker_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# By hand\n\n{generate.OPTIONS}\n\nold\n", encoding="utf-8")
    assert generate.below_marker(page, generate.OPTIONS, "new") == f"# By hand\n\n{generate.OPTIONS}\n\nnew\n"
    page.write_text("# The marker is gone\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="must have the line"):
        generate.below_marker(page, generate.OPTIONS, "new")


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.__name__)
def test_every_key_that_a_user_may_write_is_described(schema: type[BaseModel]) -> None:
    assert [name for name, field in schema.model_fields.items() if not field.description] == []


def test_the_settings_of_every_family_are_told() -> None:
    from compete.base_models.recipes import _find_family
    from compete.competition.workspace import Workspace

    for name in FAMILIES:
        family, _, _ = _find_family(Workspace(Path()), name)
        assert family is not None and family.Settings in SCHEMAS, name


def test_an_option_says_what_follows_it() -> None:
    """One of every kind, held against the command's own declaration."""
    rows = generate.command_part("rehearse").splitlines()
    assert (
        "| `--share` | number, at least 0.02, at most 0.5, default `0.2` | Share of the training rows to hold out. |"
        in rows
    )
    assert any(row.startswith("| `--stack` | text, repeatable |") for row in rows)
    assert any(
        row.startswith("| `--output`, `-o` | path, default") for row in generate.command_part("predict").splitlines()
    )
    assert any(row.startswith("| `--oof` | path, required |") for row in generate.command_part("import").splitlines())
    assert "compete rehearse [OPTIONS] [MODEL]..." in rows


def test_a_value_is_told_in_words() -> None:
    from compete.competition.declaration import Submission
    from compete.stacking.stack_recipes import StackDeclaration

    fields = {**Submission.model_fields, **StackDeclaration.model_fields}
    assert generate.field_value(fields["public_fraction"]) == "number, above 0, below 1"
    assert generate.field_value(fields["stacks"]) == "list of texts, at least 2 of them"
    assert generate.field_value(fields["C"]) == "list of numbers, above 0"
    assert generate.field_value(fields["target"]) == '`"local"` or `"kaggle"`'
    assert generate.field_default(fields["label_shift"]) == "`false`"
