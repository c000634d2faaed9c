"""`compete report` as a user types it: what it says, where it writes, what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from compete.competition.workspace import Workspace
from support.in_process import Run, in_process
from support.lived_in import copied, train_models, write_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained_once(untouched: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Of two base models one is trained: a report of few figures, quickly drawn."""
    workspace = copied(untouched, tmp_path_factory.mktemp("trained"))
    train_models(workspace, ["words"])
    return workspace


@pytest.fixture
def compete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(tmp_path, monkeypatch, capsys)


def test_it_writes_into_the_workspace_and_says_what(trained: Workspace, compete: Run) -> None:
    ran = compete("report", cwd=trained.root)
    assert ran.code == 0, ran.stderr
    figures = trained.root / "report" / "figures"
    names = {path.stem for path in figures.glob("*.png")}
    assert names == {path.stem for path in figures.glob("*.svg")}
    assert f"report/index.html: 0.3 MB, {len(names)} figures beside it as PNG and SVG" in _rounded(ran.stdout)
    assert (trained.root / "report" / "index.html").is_file()
    assert ran.stderr == ""


def test_it_works_from_a_folder_of_the_workspace(untouched: Workspace, tmp_path: Path, compete: Run) -> None:
    shutil.copytree(untouched.root, tmp_path, dirs_exist_ok=True)
    ran = compete("report", cwd=tmp_path / "base_models")
    assert ran.code == 0, ran.stderr
    assert "report/index.html: " in ran.stdout
    assert (tmp_path / "report" / "index.html").is_file()


def test_a_folder_is_taken_from_where_the_user_stands(untouched: Workspace, tmp_path: Path, compete: Run) -> None:
    workspace, elsewhere = tmp_path / "workspace", tmp_path / "else where"
    shutil.copytree(untouched.root, workspace)
    ran = compete("report", "--folder", "../else where/out", cwd=workspace)
    assert ran.code == 0, ran.stderr
    assert (elsewhere / "out" / "index.html").is_file()
    assert not (workspace / "report").exists()
    assert "else where/out/index.html: " in ran.stdout


def test_what_lies_in_the_folder_already_stays(untouched: Workspace, tmp_path: Path, compete: Run) -> None:
    shutil.copytree(untouched.root, tmp_path / "workspace")
    folder = tmp_path / "mine"
    (folder / "figures").mkdir(parents=True)
    for name in ("holiday.png", "logo.svg"):
        (folder / "figures" / name).write_text("mine", encoding="utf-8")
    for _ in range(2):
        assert compete("report", "--folder", str(folder), cwd=tmp_path / "workspace").code == 0
    assert (folder / "figures" / "holiday.png").read_text(encoding="utf-8") == "mine"
    assert (folder / "figures" / "logo.svg").read_text(encoding="utf-8") == "mine"


def test_a_stale_model_is_no_error(trained: Workspace, compete: Run) -> None:
    write_model(trained, "words", 9.0)
    ran = compete("report", cwd=trained.root)
    assert ran.code == 0, ran.stderr
    page = (trained.root / "report" / "index.html").read_text(encoding="utf-8")
    assert "words is not in the figures: stale: settings.smoothing: 1.0 -&gt; 9.0." in page


def test_outside_of_a_workspace_it_says_so(tmp_path: Path, compete: Run) -> None:
    ran = compete("report", cwd=tmp_path)
    assert ran.code == 2
    assert "this is not a workspace" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_broken_declaration_is_one_error(untouched: Workspace, tmp_path: Path, compete: Run) -> None:
    shutil.copytree(untouched.root, tmp_path, dirs_exist_ok=True)
    (tmp_path / "competition.toml").write_text('metrics = "x"\n', encoding="utf-8")
    ran = compete("report", cwd=tmp_path)
    assert ran.code == 2
    assert ran.stderr.count("error: ") == 1
    assert not (tmp_path / "report").exists()


def test_a_file_where_the_folder_should_be_is_refused(untouched: Workspace, tmp_path: Path, compete: Run) -> None:
    shutil.copytree(untouched.root, tmp_path, dirs_exist_ok=True)
    (tmp_path / "taken").write_text("", encoding="utf-8")
    ran = compete("report", "--folder", "taken", cwd=tmp_path)
    assert ran.code == 2
    assert "Traceback" not in ran.stderr
    assert (tmp_path / "taken").is_file()


def test_data_that_are_odd_are_warned_of(untouched: Workspace, tmp_path: Path, compete: Run) -> None:
    shutil.copytree(untouched.root, tmp_path, dirs_exist_ok=True)
    lines = (tmp_path / "test.csv").read_text(encoding="utf-8").splitlines()
    lines[1] = f"{lines[1].split(',')[0]},"
    (tmp_path / "test.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ran = compete("report", cwd=tmp_path)
    assert ran.code == 0, ran.stderr
    assert "warning: 1 empty text in the test set" in ran.stderr
    assert "1 empty text in the test set" in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


def _rounded(line: str) -> str:
    """The page of the tiny workspace has some tenths of a megabyte."""
    start, _, end = line.partition(" MB")
    place, _, megabytes = start.rpartition(" ")
    assert 0.05 < float(megabytes) < 1
    return f"{place} 0.3 MB{end}"
