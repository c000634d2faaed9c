from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compete.competition.names import checked_submission_file, is_model_name, is_name, stays_inside
from compete.competition.workspace import Workspace
from compete.errors import UserError

BAD = ["", ".", "..", "../x", "/x", "a/b", "a\\b", ".x", "-x", "_x", "a b", "a\n", "é", "a" * 101, "a\x1b", "a%2e"]


@pytest.mark.parametrize("name", BAD)
def test_what_no_name_is_makes_no_path(tmp_path: Path, name: str) -> None:
    workspace = Workspace(tmp_path)
    for make in (
        workspace.recipe,
        workspace.stack_recipe,
        workspace.base_model,
        workspace.stack,
        lambda name: workspace.fold_lock(name, 0),
        lambda name: workspace.training_state(name, 0, "hash"),
    ):
        with pytest.raises(UserError, match="cannot be a"):
            make(name)
    assert not is_name(name)


def test_names_are_names(tmp_path: Path) -> None:
    for name in ("mean", "qwen2_5_14b_instruct", "0-x", "a" * 100, "stacks"):
        assert is_name(name)
    assert not is_model_name("stacks") and not is_model_name(3)
    assert Workspace(tmp_path).base_model("mean").path == tmp_path / "oof" / "mean"


@given(st.text(max_size=30))
def test_no_path_of_a_name_leads_out(name: str) -> None:
    workspace = Workspace(Path("/w"))
    for make in (workspace.stack, workspace.base_model):
        try:
            path = make(name).path
        except UserError:
            continue
        assert path.resolve().parent in (workspace.oof, workspace.stacks)


@pytest.mark.parametrize(
    "file", ["../001_x.csv", "/x.csv", "a/b.csv", "a\\b.csv", ".x.csv", "a\x00.csv", "", "C:x.csv"]
)
def test_a_submission_has_no_folder_in_its_name(file: str) -> None:
    with pytest.raises(UserError, match="cannot be the name of a file in submissions/"):
        checked_submission_file(file)
    assert checked_submission_file("001_день 2 (1).csv")


@pytest.mark.parametrize(
    ("file", "inside"),
    [
        ("a/b.py", True),
        ("./a", True),
        ("../a", False),
        ("a/../../b", False),
        ("/a", False),
        ("C:\\a", False),
        ("a\\..\\b", False),
        ("a\0", False),
    ],
)
def test_files_stay_inside_or_not(file: str, inside: bool) -> None:
    assert stays_inside(file) is inside
