"""Trackers are told of trainings, and nothing that comes of a training depends on it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.errors import UserError
from compete.execution.executor import Executor
from compete.execution.inline import InlineExecutor
from compete.execution.local import LocalExecutor
from compete.oof.work import choose_recipes, find_work, train
from compete.workflows.train import train_base
from conftest import Run, build_workspace

pytestmark = pytest.mark.slow

RECIPE = """\
family = "sequence_classifier"
[settings]
checkpoint = "miniature:distilbert"
adaptation = "lora"
epochs = 2
batch_size = 8
max_length = 16
precision = "float32"
"""
SECRET = "key-that-nobody-may-read"
# Stands in for Trackio, as transformers calls it: writes down what it is told, a line each.
TRACKIO = """
import json, os, types
from pathlib import Path

__version__ = "0.21.1"
context_vars = types.SimpleNamespace(current_space_id=types.SimpleNamespace(get=lambda: None))
logged = 0
fails = Path(__file__).with_name("fails_at_the_third")


class Config(dict):
    def update(self, values, allow_val_change):
        tell(config=sorted(values))


config = Config()


def tell(**what):
    folder = Path(os.environ["TRACKIO_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "told.jsonl").open("a") as file:
        file.write(json.dumps(what) + "\\n")


def init(project, name, **more):
    tell(begins=name, project=project)


def log(values):
    global logged
    logged += 1
    if logged == 3 and fails.exists():
        raise ConnectionError("http://user:key-that-nobody-may-read@example.org does not answer")
    tell(step=values["train/global_step"], values=sorted(values))


def finish():
    tell(ends=True)
"""


def write_recipe(workspace: Workspace) -> None:
    for path in workspace.recipes.glob("*.toml"):
        path.unlink()
    (workspace.recipes / "tuned.toml").write_text(RECIPE, encoding="utf-8")


def track(workspace: Workspace, *to: str) -> None:
    with workspace.declaration.open("a", encoding="utf-8") as file:
        file.write(f"\n[tracking]\nto = {json.dumps(to)}\n")


def train_folds(workspace: Workspace, folds: list[int], executor: Executor | None = None) -> None:
    competition = load_competition(workspace)
    recipes = choose_recipes(competition, ["tuned"])
    train(find_work(competition, recipes, folds, parity=False, force=True), executor or LocalExecutor(1, 1))


def results(workspace: Workspace, fold: int = 0) -> dict[str, bytes]:
    part = workspace.base_model("tuned").part(fold)
    return {path.name: path.read_bytes() for path in (part.oof, part.test, part.curves)}


def part_record(workspace: Workspace) -> Mapping[str, Any]:
    record: Mapping[str, Any] = json.loads(workspace.base_model("tuned").part(0).record.read_text(encoding="utf-8"))
    return record


def told(workspace: Workspace) -> list[dict[str, Any]]:
    lines = (workspace.tracking / "trackio" / "told.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages that processes of jobs find."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    return folder


@pytest.fixture(scope="module")
def trackio_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    package = tmp_path_factory.mktemp("packages") / "trackio"
    package.mkdir()
    (package / "__init__.py").write_text(TRACKIO, encoding="utf-8")
    return package


@pytest.fixture
def trackio(trackio_once: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package; every test with it has the same environment, so that one warm process serves them."""
    monkeypatch.setenv("PYTHONPATH", str(trackio_once.parent), prepend=os.pathsep)
    for name in ("WANDB_API_KEY", "HF_TOKEN", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, SECRET)
    return trackio_once


@pytest.fixture(scope="module")
def untold(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What comes of fold 0 where no tracker is told, trained in this process."""
    workspace = build_workspace(tmp_path_factory.mktemp("untold"))
    write_recipe(workspace)
    train_folds(workspace, [0], InlineExecutor())
    assert not workspace.tracking.exists()
    return results(workspace)


@pytest.mark.usefixtures("trackio")
def test_every_fold_is_a_run_of_its_own_and_results_are_what_they_are_without(
    workspace: Workspace, untold: dict[str, bytes]
) -> None:
    write_recipe(workspace)
    track(workspace, "trackio")
    train_folds(workspace, [0, 1])
    assert results(workspace) == untold
    events = told(workspace)
    assert [each["begins"] for each in events if "begins" in each] == ["tuned fold 0", "tuned fold 1"]
    assert {each["project"] for each in events if "begins" in each} == {"tiny"}
    first = events[: next(n for n, each in enumerate(events) if "ends" in each)]
    steps = [each["step"] for each in first if "train/recent_loss" in each.get("values", ())]
    assert steps == [10, 20, 30]
    assert [
        "train/epoch",
        "train/global_step",
        "train/learning_rate",
        "train/recent_loss",
        "train/rows_per_second",
    ] in [each.get("values") for each in first]
    assert sum("eval/loss" in each.get("values", ()) for each in first) == 2  # one an epoch
    holding = [path for path in workspace.root.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert holding == []


def test_a_tracker_that_fails_costs_no_training(workspace: Workspace, trackio: Path, untold: dict[str, bytes]) -> None:
    (trackio / "fails_at_the_third").touch()
    write_recipe(workspace)
    track(workspace, "trackio")
    try:
        train_folds(workspace, [0])
    finally:
        (trackio / "fails_at_the_third").unlink()
    assert results(workspace) == untold
    assert [warning for warning in part_record(workspace)["warnings"] if "Trackio" in warning] == [
        "TrackioCallback failed (ConnectionError) and was told no more of the training"
    ]
    logs = list(workspace.base_model("tuned").logs.iterdir())
    assert logs and not any(SECRET in path.read_text(encoding="utf-8") for path in logs)


def test_no_tracker_is_imported_where_none_is_named(
    workspace: Workspace, site: Path, tmp_path: Path, untold: dict[str, bytes]
) -> None:
    marker = tmp_path / "imported"
    for name in ("tensorboard", "wandb", "mlflow", "trackio"):
        (site / name).mkdir()
        code = f"open({str(marker)!r}, 'a').write('{name}')\n"
        (site / name / "__init__.py").write_text(code, encoding="utf-8")
    write_recipe(workspace)
    train_folds(workspace, [0])
    assert results(workspace) == untold
    assert not marker.exists()


def test_tracking_makes_nothing_stale(workspace: Workspace) -> None:
    write_recipe(workspace)
    train_folds(workspace, [0], InlineExecutor())
    track(workspace, "trackio")
    competition = load_competition(workspace)
    recipes = choose_recipes(competition, ["tuned"])
    assert [job.payload["fold"] for job in find_work(competition, recipes, parity=False).jobs] == [1, 2]


def test_a_tracker_that_is_not_installed_is_said_before_anything_is_trained(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recipe(workspace)
    track(workspace, "wandb", "mlflow")
    # A folder for logs, as trackers make them where they are called, is no package.
    (tmp_path / "elsewhere" / "wandb").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    monkeypatch.setattr(
        "compete.base_models.trackers.find_spec", lambda name: None if name == "mlflow" else find_spec(name)
    )
    said = r"tracking\.to: wandb, mlflow are not installed here\. `pip install 'compete\[wandb,mlflow\]'`"
    with pytest.raises(UserError, match=said) as raised:
        train_base(workspace, ["tuned"])
    assert raised.value.exit_code == 2
    assert not workspace.base_model("tuned").path.exists()


def test_an_unknown_tracker_is_a_mistake(workspace: Workspace, compete: Run) -> None:
    track(workspace, "tensorbord")
    ran = compete("train-base", "words")
    assert ran.returncode == 2
    said = (
        "tracking.to.0: found \"tensorbord\", allowed: tensorboard, wandb, mlflow, trackio; did you mean 'tensorboard'?"
    )
    assert said in ran.stderr
    assert not workspace.base_model("words").path.exists()


def test_in_this_process_nothing_of_it_is_left(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, untold: dict[str, bytes]
) -> None:
    pytest.importorskip("tensorboard")
    monkeypatch.setenv("WANDB_PROJECT", "my-own")
    write_recipe(workspace)
    track(workspace, "tensorboard")
    told_by = ("TENSORBOARD", "WANDB", "MLFLOW", "TRACKIO")
    before = {name: value for name, value in os.environ.items() if name.startswith(told_by)}
    train_folds(workspace, [0], InlineExecutor())
    assert {name: value for name, value in os.environ.items() if name.startswith(told_by)} == before
    assert results(workspace) == untold


@pytest.mark.filterwarnings("ignore")  # of MLflow's own libraries
def test_jobs_at_once_share_mlflows_database(workspace: Workspace) -> None:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")  # which a part of MLflow does without
    write_recipe(workspace)
    track(workspace, "mlflow")
    train_folds(workspace, [0, 1], LocalExecutor(2, 1))
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{workspace.tracking / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tiny")
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["tuned fold 0", "tuned fold 1"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags["model"] for run in runs} == {"tuned"}
    assert all("eval_loss" in run.data.metrics for run in runs)


@pytest.mark.usefixtures("trackio")  # for its environment alone
def test_tensorboard_reads_a_curve_per_fold_and_of_the_last_training_alone(workspace: Workspace) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    write_recipe(workspace)
    track(workspace, "tensorboard")
    for folds in ([0, 1], [0]):
        train_folds(workspace, folds)
    boards = sorted((workspace.tracking / "tensorboard" / "tuned").iterdir())
    assert [board.name for board in boards] == ["fold_0", "fold_1"]
    for board in boards:
        assert len(list(board.iterdir())) == 1
        events = accumulator.EventAccumulator(str(board))
        events.Reload()
        assert [event.step for event in events.Scalars("train/recent_loss")] == [10, 20, 30]
        assert len(events.Scalars("eval/loss")) == len(events.Scalars("train/loss")) == 2
        assert all(event.value > 0 for event in events.Scalars("train/rows_per_second"))
