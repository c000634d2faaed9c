"""Jobs as files: done in a folder that shares nothing with the workspace, to the bytes of training in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from filelock import FileLock

import compete as package
from compete.archives import read_archive
from compete.base_models.recipes import load_recipe
from compete.competition.workspace import Workspace
from compete.errors import DiskFullError, JobsFailedError, UserError
from compete.execution.inline import InlineExecutor
from compete.oof.job_archives import laid_out, open_job
from compete.oof.work import Work
from compete.workflows.jobs import collect_jobs, export_jobs, run_job
from compete.workflows.train import train_base
from compete.workflows.watching import unwatched
from conftest import build_workspace
from support.documented import FAMILY
from support.in_process import Run, in_process
from support.one_model import edit
from support.other_tasks import TEMPLATE, of_another_task

pytestmark = pytest.mark.slow

FOLDS = 3


@pytest.fixture
def compete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose model writes itself down, in `here`; its jobs, done in `there`: nobody may change them."""
    root = tmp_path_factory.mktemp("made")
    workspace = build_workspace(root / "here", ["words"])
    with (workspace.root / "families.py").open("a", encoding="utf-8") as file:
        file.write(FAMILY)
    edit(workspace.recipes / "words.toml", ":Words", ":Some")
    export_jobs(workspace, root / "there", threads=1)
    for job in sorted((root / "there").glob("*.job")):
        run_job(job, here=root)
    return root


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are done in this process; the results in `made` come from processes of their own."""
    monkeypatch.setattr("compete.workflows.executors.LocalExecutor", lambda *crew: InlineExecutor())


@pytest.fixture
def here(made: Path, tmp_path: Path) -> Workspace:
    """A copy of the workspace, with nothing trained."""
    shutil.copytree(made / "here", tmp_path / "here")
    return Workspace((tmp_path / "here").resolve())


@pytest.fixture
def there(made: Path, tmp_path: Path) -> Path:
    """A copy of the folder with jobs and results."""
    shutil.copytree(made / "there", tmp_path / "there")
    return tmp_path / "there"


def tables(workspace: Workspace) -> dict[str, bytes]:
    return {str(path.relative_to(workspace.oof)): path.read_bytes() for path in workspace.oof.rglob("*.parquet")}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_bytes_are_those_of_training_here(here: Workspace, there: Path, tmp_path: Path, compete: Run) -> None:
    shutil.copytree(here.root, tmp_path / "local")
    local = Workspace(tmp_path / "local")
    train_base(local, workers=1, threads=1)

    ran = compete("jobs", "collect", str(there), cwd=here.root)

    assert ran.code == 0, ran.stderr
    assert ran.stdout.splitlines() == [*(f"words fold {fold} came in" for fold in range(FOLDS)), "words is whole"]
    assert tables(here) == tables(local)
    assert set(tables(here)) >= {"folds.parquet", "words/oof.parquet", "words/fold_0/test.parquet"}
    kept = [tree(workspace.base_model("words").all_kept) for workspace in (here, local)]
    assert kept[0] == kept[1] and "fold_0/words.json" in kept[0]
    assert all(here.base_model("words").log(fold).is_file() for fold in range(FOLDS))
    again = compete("jobs", "export", "more", cwd=here.root)
    assert again.code == 0 and "nothing is to be trained" in again.stderr
    assert compete("predict", "test.csv", "words", "--output", "new.csv", cwd=here.root).code == 0


def test_a_process_of_its_own_needs_no_workspace(there: Path, tmp_path: Path) -> None:
    for result in there.glob("*.result"):
        result.unlink()
    command = [sys.executable, "-m", "compete.cli.main", "jobs", "run", "words-fold-1.job", "--out", "done"]
    ran = subprocess.run(command, cwd=there, capture_output=True, text=True, encoding="utf-8", check=False)
    assert ran.returncode == 0, ran.stderr
    assert "done/words-fold-1.result" in ran.stdout
    assert [path.name for path in (there / "done").iterdir()] == ["words-fold-1.result"]
    again = subprocess.run(command, cwd=there, capture_output=True, text=True, encoding="utf-8", check=False)
    assert again.returncode == 0 and "is there already" in again.stderr


def test_nothing_tells_where_it_was_made_or_what_is_secret(here: Workspace, there: Path, made: Path) -> None:
    jobs, results = sorted(there.glob("*.job")), sorted(there.glob("*.result"))
    assert [len(jobs), len(results)] == [FOLDS, FOLDS]
    for path in (*jobs, *results):
        with zipfile.ZipFile(path) as packed:
            for name in packed.namelist():
                content = packed.read(name)
                assert str(made).encode() not in content, f"{path.name}: {name}"
                assert "solution" not in name and "sample" not in name
                assert b"solution" not in content or name == "families.py"
    export_jobs(here, there / "again", threads=1)
    for path in jobs:
        assert (there / "again" / path.name).read_bytes() == path.read_bytes()


def test_data_that_lies_elsewhere_is_taken_along(here: Workspace, inline: None, tmp_path: Path) -> None:
    away = tmp_path / "data.v2"
    away.mkdir()
    (here.root / "train.csv").rename(away / "my train.csv")
    edit(here.declaration, '"train.csv"', f"'{away / 'my train.csv'}'")
    export_jobs(here, tmp_path / "jobs", folds=[0], threads=1)
    job = open_job(tmp_path / "jobs" / "words-fold-0.job")
    assert "data/train_0.csv" in job.names
    assert str(away).encode() not in job.read("competition.toml")
    assert run_job(job.path).is_file()


def test_a_result_that_is_there_twice_comes_in_once(here: Workspace, there: Path, compete: Run) -> None:
    shutil.copy(there / "words-fold-0.result", there / "copied.result")
    ran = compete("jobs", "collect", str(there), cwd=here.root)
    assert ran.code == 0, ran.stderr
    assert sorted(ran.stdout.splitlines()).count("words fold 0 came in") == 1
    assert "words fold 0 was there already" in ran.stdout
    before = tree(here.oof)
    assert compete("jobs", "collect", str(there), cwd=here.root).code == 0
    assert tree(here.oof) == before


def test_a_damaged_result_is_refused_and_the_others_come_in(here: Workspace, there: Path, compete: Run) -> None:
    torn, flipped = there / "words-fold-0.result", there / "words-fold-1.result"
    torn.write_bytes(torn.read_bytes()[:-100])
    whole = bytearray(flipped.read_bytes())
    whole[whole.index(b"PAR1") + 40] ^= 1
    flipped.write_bytes(whole)
    ran = compete("jobs", "collect", str(there), cwd=here.root)
    assert ran.code == 1
    assert "error: 2 results are not in, and lie where they were" in ran.stderr
    for name in ("words-fold-0.result", "words-fold-1.result"):
        assert f"{name} is damaged" in ran.stderr
        assert (there / name).is_file()
    assert ran.stdout.splitlines() == ["words fold 2 came in"]
    assert [path.name for path in (here.oof / "words").glob("fold_*")] == ["fold_2"]


def test_a_result_older_than_the_recipe_is_refused(here: Workspace, there: Path, compete: Run) -> None:
    recipe = here.recipes / "words.toml"
    edit(recipe, "smoothing = 1.0", "smoothing = 2.0")
    ran = compete("jobs", "collect", str(there), cwd=here.root)
    assert ran.code == 1
    assert ran.stderr.count("older than the recipe of words, which was edited: settings.smoothing: 1.0 -> 2.0") == FOLDS
    recipe.rename(recipe.with_name("other.toml"))
    assert "there is no base_models/words.toml" in compete("jobs", "collect", str(there), cwd=here.root).stderr
    recipe.with_name("other.toml").rename(recipe)
    edit(recipe, "smoothing = 2.0", "smoothing = 1.0")
    assert compete("jobs", "collect", str(there), cwd=here.root).code == 0


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("competition.toml", "seed = 7", "seed = 8", "folds.seed: 7 -> 8"),
        ("train.csv", "a0001,", "a9001,", "train ids changed"),
        ("test.csv", "w1 ", "w2 ", "test texts changed"),
    ],
)
def test_results_of_another_competition_are_refused(
    here: Workspace, there: Path, compete: Run, file: str, old: str, new: str, said: str
) -> None:
    (here.root / "oof" / "folds.parquet").unlink()
    edit(here.root / file, old, new)
    before = {path.name for path in here.oof.iterdir()}
    ran = compete("jobs", "collect", str(there), cwd=here.root)
    assert ran.code == 1
    assert ran.stderr.count("of another competition (tiny)") == FOLDS
    assert said in ran.stderr
    assert {path.name for path in here.oof.iterdir()} - before <= {"folds.parquet"}


def test_what_is_trained_here_stays(here: Workspace, there: Path) -> None:
    train_base(here, workers=0, threads=1)
    before = tree(here.oof)
    found = collect_jobs(here, there)
    assert [arrival.what for arrival in found.arrivals] == ["was there already"] * FOLDS
    assert (
        found.failed is None and tree(here.oof).items() >= {k: v for k, v in before.items() if "lock" not in k}.items()
    )


def test_a_folder_without_results_is_a_mistake(here: Workspace, compete: Run) -> None:
    ran = compete("jobs", "collect", "nowhere", cwd=here.root)
    assert ran.code == 2 and "nowhere holds no results" in ran.stderr


def test_a_job_of_another_version_is_refused(there: Path, compete: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "__version__", "99.0")
    ran = compete("jobs", "run", "words-fold-0.job", cwd=there)
    assert ran.code == 2
    assert "and this is compete 99.0" in ran.stderr


def test_other_versions_of_libraries_are_named(
    there: Path, inline: None, compete: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (there / "words-fold-0.result").unlink()
    monkeypatch.setattr("compete.oof.job_archives.versions", lambda: {**open_made(there), "numpy": "0.9"})
    ran = compete("jobs", "run", "words-fold-0.job", cwd=there)
    assert ran.code == 0
    assert "-> 0.9; probabilities may differ in their last digits" in ran.stderr


def open_made(there: Path) -> dict[str, str]:
    made: dict[str, str] = read_archive(there / "words-fold-0.job", "job", {}).manifest["made_with"]
    return made


@pytest.mark.parametrize(("error", "code"), [("ValueError", 1), ("UserError", 2)])
def test_a_job_that_fails_brings_its_log_home(
    here: Workspace, inline: None, compete: Run, error: str, code: int
) -> None:
    edit(
        here.root / "families.py",
        "        time.sleep(self.settings.seconds)\n",
        f"        from compete.errors import UserError\n        raise {error}('no such luck')\n",
    )
    assert compete("jobs", "export", "jobs", "--fold", "0", cwd=here.root).code == 0
    ran = compete("jobs", "run", "jobs/words-fold-0.job", cwd=here.root)
    assert ran.code == code
    assert f"words fold 0 failed: {error}: no such luck (its log is in jobs/words-fold-0.result)" in ran.stderr
    collected = compete("jobs", "collect", "jobs", cwd=here.root)
    assert collected.code == 1
    assert "words fold 0 failed" in collected.stderr and "(log: oof/words/logs/fold_0.log)" in collected.stderr
    log = here.base_model("words").log(0).read_text(encoding="utf-8")
    assert "Traceback" in log and "no such luck" in log
    assert [path.name for path in (here.oof / "words").iterdir()] == ["logs"]


def test_what_was_trained_outlives_a_disk_that_fills_while_it_is_packed(
    there: Path, inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = read_archive(there / "words-fold-0.result", "result", {}).manifest["files"]
    (there / "words-fold-0.result").unlink()
    jobs: list[int] = []

    def watch(work: Work, at_once: int) -> object:
        jobs.append(len(work.jobs))
        return unwatched(work, at_once)

    def full(*arguments: object, **options: object) -> None:
        raise DiskFullError("no space left")

    with monkeypatch.context() as changed:
        changed.setattr("compete.oof.job_results.write_archive", full)
        with pytest.raises(DiskFullError):
            run_job(there / "words-fold-0.job", watch=watch)  # type: ignore[arg-type]
    assert not (there / "words-fold-0.result").exists()
    result = run_job(there / "words-fold-0.job", watch=watch)  # type: ignore[arg-type]
    assert jobs == [1, 0]
    found = read_archive(result, "result", {}).manifest["files"]
    assert found["part/oof.parquet"] == expected["part/oof.parquet"]
    assert not [path for path in there.iterdir() if path.name.startswith(".")]


def test_a_local_checkpoint_has_to_be_there_too(here: Workspace, tmp_path: Path) -> None:
    (here.root / "models" / "mine").mkdir(parents=True)
    (here.root / "models" / "mine" / "config.json").write_text("{}", encoding="utf-8")
    with here.declaration.open("a", encoding="utf-8") as file:
        file.write('\n[checkpoints]\n"some/thing" = "models/mine"\n')
    recipe = 'family = "sequence_classifier"\n[settings]\ncheckpoint = "some/thing"\n'
    (here.recipes / "pretrained.toml").write_text(recipe, encoding="utf-8")
    export_jobs(here, tmp_path / "jobs", ["pretrained"], folds=[0])
    job = open_job(tmp_path / "jobs" / "pretrained-fold-0.job")
    assert job.manifest["needs"]["gpus"] == 1 and job.manifest["needs"]["memory"] > 10**9
    with pytest.raises(Exception, match=r"some/thing was a local folder .* Put it at models/mine in the folder"):
        run_job(job.path, here=tmp_path)
    shutil.copytree(here.root / "models", tmp_path / "models")
    other = laid_out(job, tmp_path / "scratch", tmp_path)
    there, at_home = load_recipe(other, "pretrained"), load_recipe(here, "pretrained")
    assert there.folder == tmp_path / "models" / "mine"
    assert there.identity() == at_home.identity()


def test_what_cannot_be_taken_along_is_said_before_anything_is_written(here: Workspace, tmp_path: Path) -> None:
    (here.root / "families.py").rename(tmp_path / "families.py")
    edit(here.recipes / "words.toml", '"families.py', '"../families.py')
    with pytest.raises(UserError, match=r"the file '\.\./families\.py' lies outside the workspace"):
        export_jobs(here, tmp_path / "jobs", ["words"])
    assert not list((tmp_path / "jobs").glob("*.job"))


def test_from_python(here: Workspace, there: Path, tmp_path: Path) -> None:
    opened = package.open(here.root, quiet=True)
    found = opened.jobs_export(tmp_path / "jobs", "words", folds=1, threads=1)
    assert [path.read_bytes() for path in found.files] == [(there / "words-fold-1.job").read_bytes()]
    assert opened.jobs_collect(there).whole == ["words"]
    assert opened.models["state"].tolist() == ["fresh"]
    (there / "words-fold-0.result").write_bytes(b"")
    with pytest.raises(JobsFailedError, match="1 result is not in, and lies where it was"):
        opened.jobs_collect(there)


def test_the_same_job_is_done_once_at_a_time(there: Path) -> None:
    (there / "words-fold-0.result").rename(there / "done")
    said: list[str] = []

    def say(sentence: str) -> None:
        said.append(sentence)
        if "another command is doing this job" in sentence:  # which ends now
            (there / "done").rename(there / "words-fold-0.result")
            other.release()

    other = FileLock(there / ".words-fold-0.lock", thread_local=False)
    other.acquire()
    run_job(there / "words-fold-0.job", say=say)
    assert len(said) == 2 and "is there already" in said[1]


def test_jobs_of_an_earlier_export_are_named(here: Workspace, compete: Run) -> None:
    assert "3 jobs in jobs" in compete("jobs", "export", "jobs", cwd=here.root).stdout
    ran = compete("jobs", "export", "jobs", "words", "--fold", "1", cwd=here.root)
    assert "1 job in jobs" in ran.stdout
    assert "jobs of an earlier export, which are not among these: words-fold-0.job, words-fold-2.job" in ran.stderr


OWN_METRIC = 'metric = "mine.py:score"\nmetric_wants = "decisions"\nmetric_greater_is_better = true'


@pytest.mark.parametrize(
    ("top", "data", "columns", "cells", "folds"),
    [
        (
            f'task = "multiclass"\n{OWN_METRIC}',
            'labels = "mood"',
            "asked,mood",
            [f"{n // 3},{('good', 'bad')[n % 2]}" for n in range(60)],
            'groups = "asked"',
        ),
        (
            'task = "ordinal"',
            'labels = "g"\ngrades = [1, 2, 5]',
            "g,t",
            [f"{1 + n % 2},{n}" for n in range(60)],
            'time = "t"',
        ),
    ],
    ids=["multiclass", "ordinal"],
)
def test_a_job_of_another_task_is_the_same_job_elsewhere(
    tmp_path: Path, top: str, data: str, columns: str, cells: list[str], folds: str
) -> None:
    """It takes its task and scale along, and a metric of the user's own by name alone: no job scores."""
    workspace = build_workspace(tmp_path / "here", ["words"])
    of_another_task(workspace, top, f"{TEMPLATE}\n{data}", columns, cells, folds)
    (workspace.recipes / "words.toml").write_text('family = "linear"\n', encoding="utf-8")
    export_jobs(workspace, tmp_path / "there", threads=1)
    jobs = sorted((tmp_path / "there").glob("*.job"))
    assert len(jobs) == FOLDS
    with zipfile.ZipFile(jobs[0]) as archive:
        assert not any("mine" in name for name in archive.namelist())
    for job in jobs:
        run_job(job, here=tmp_path)
    collect_jobs(workspace, tmp_path / "there")
    found = tables(workspace)
    shutil.rmtree(workspace.oof / "words")
    train_base(workspace, ["words"], workers=0, threads=1, watch=unwatched)
    assert found == tables(workspace)
