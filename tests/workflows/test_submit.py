"""A CSV that was made elsewhere; stacks and base models are chosen in tests/stacking/test_inventory.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from compete.competition.data import Competition
from compete.errors import SubmissionError, UserError
from compete.oof.fold_plan import with_plan
from compete.submissions.csv_file import CsvFile
from compete.workflows.submit import to_send


@pytest.mark.parametrize(
    ("file", "name"),
    [("mine.csv", "mine"), ("blend_v1.5 (final).csv", "blend_v1-5--final-"), ("größe-2.csv", "größe-2")],
)
def test_a_csv_is_a_source_whose_name_fits_a_file_name(competition: Competition, file: str, name: str) -> None:
    path = competition.workspace.root / file
    path.write_text("id,joy\n", encoding="utf-8")
    found = to_send(with_plan(competition), str(path))
    assert isinstance(found, CsvFile)
    assert (found.title, found.name, found.path) == (f"file {file}", name, path)


def test_a_csv_that_is_not_there_is_named(competition: Competition, tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path / "folder.csv"):
        (tmp_path / "folder.csv").mkdir(exist_ok=True)
        with pytest.raises(SubmissionError, match=rf"{path.name} (does not exist|is no file)"):
            to_send(with_plan(competition), str(path))


def test_without_an_ending_it_is_a_name(competition: Competition) -> None:
    (competition.workspace.root / "mine").write_text("id,joy\n", encoding="utf-8")
    with pytest.raises(UserError, match="no stack or base model is called 'mine'"):
        to_send(with_plan(competition), "mine")
