"""A pack says what the workspace says; and what it says when time runs out, or a model fails."""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from compete.code_competitions.manifest import Manifest, read_manifest
from compete.code_competitions.opened_pack import OpenedPack, find_pack, open_pack
from compete.code_competitions.prediction import PredictionFailedError, predict_pack
from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.errors import PackError
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.stacking.inventory import Inventory, present
from compete.submissions.form import submission_form
from compete.submissions.sending import cut
from compete.workflows.pack import check_pack

NAMES = {"linear", "nbsvm", "net"}


@dataclass
class Clock:
    """Time goes on by what a model is said to take."""

    now: float = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture(scope="module")
def folder(packed_once: Workspace) -> Path:
    return packed_once.pack("logistic")


@pytest.fixture
def opened(folder: Path, tmp_path: Path) -> OpenedPack:
    root = tmp_path / "root"
    root.mkdir()
    return open_pack(folder, root)


def csv_of_workspace(workspace: Workspace, name: str = "logistic") -> bytes:
    planned = with_plan(load_competition(workspace))
    source = Inventory(planned).find(name)
    return cut(planned.competition, source, submission_form(planned.competition))


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module")
def submitted(packed_once: Workspace) -> bytes:
    return csv_of_workspace(packed_once)


def test_a_pack_predicts_what_is_submitted_cell_by_cell(
    packed_once: Workspace, opened: OpenedPack, submitted: bytes, tmp_path: Path
) -> None:
    said: list[str] = []
    found = predict_pack(
        opened,
        [packed_once.root / "test.csv"],
        tmp_path / "submission.csv",
        sample=packed_once.root / "sample.csv",
        say=said.append,
    )
    assert (tmp_path / "submission.csv").read_bytes() == submitted
    planned = with_plan(load_competition(packed_once))
    stack = present(Inventory(planned).stack("logistic"))
    expected = store.read_model(stack.folder, planned.competition.shape).test
    assert np.abs(found.probabilities - expected).max() < 1e-6
    assert found.step.honest == stack.score.honest
    assert not found.left_out
    assert said[-1].startswith("90 rows, 3 of 3 models, by the stack logistic")


def test_in_a_fresh_process_without_a_network_too(packed_once: Workspace) -> None:
    checked = check_pack(packed_once)
    assert (checked.problem, checked.other_cells, checked.rows) == ("", 0, 90)
    assert checked.largest < 1e-6
    assert "closed sockets" in checked.walls


def test_without_a_sample_rows_are_in_the_order_of_the_file_in_the_same_form(
    packed_once: Workspace, opened: OpenedPack, submitted: bytes, tmp_path: Path
) -> None:
    lines = (packed_once.root / "test.csv").read_text(encoding="utf-8").splitlines()
    turned = tmp_path / "turned.csv"
    turned.write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n", encoding="utf-8")
    predict_pack(opened, [turned], tmp_path / "out.csv")
    header, *rows = submitted.decode().splitlines()
    assert (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines() == [header, *reversed(rows)]


@pytest.mark.parametrize("failing", sorted(NAMES))
def test_a_model_whose_weights_are_damaged_is_left_out_and_the_stack_of_the_others_taken(
    packed_once: Workspace, packed: Workspace, failing: str, tmp_path: Path
) -> None:
    folder, root = packed.pack("logistic"), tmp_path / "root"
    root.mkdir()
    (folder / "weights" / failing / "fold_1" / "weights.safetensors").write_bytes(b"torn")
    found = predict_pack(open_pack(folder, root), [packed.root / "test.csv"], tmp_path / "out.csv")
    assert [each.name for each in found.left_out] == [failing]
    assert "is not the file that was packed" in found.left_out[0].why_not
    assert set(found.step.members) == NAMES - {failing}
    assert (found.step.honest, len(read(tmp_path / "out.csv"))) == (expected_without(packed_once, failing), 91)
    values = np.array([row[1:] for row in read(tmp_path / "out.csv")[1:]])
    assert set(values.ravel()) <= {"0", "1"}


def expected_without(workspace: Workspace, name: str) -> float:
    """The honest score that `compete stack --leave-one-out` finds for the stack without a model."""
    from compete.stacking.building import open_stacking
    from compete.stacking.fitting import Workbench
    from compete.stacking.stack_recipes import load_with_parts

    planned = with_plan(load_competition(workspace))
    recipes = load_with_parts(workspace, ["logistic"])
    stacking = open_stacking(planned, recipes, sorted(NAMES))
    bench = stacking.bench
    return Workbench(bench.materials.without(name), bench.recipes, bench.metric).evaluate("logistic").honest


def test_when_time_runs_out_what_is_done_makes_the_submission(
    packed_once: Workspace, opened: OpenedPack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compete.code_competitions import prediction

    monkeypatch.setattr(prediction, "_ROWS_AT_ONCE", 30)
    manifest, clock = opened.manifest, Clock()
    one, two, three = [member.name for member in manifest.members]
    # A model looks at the clock some ten times a fold: two models fit into this, the third does not.
    found = predict_pack(
        opened, [packed_once.root / "test.csv"], tmp_path / "out.csv", budget=50.0, started=0.0, clock=clock
    )
    left = [each.name for each in found.left_out]
    assert left
    assert set(found.step.members) == NAMES - set(left)
    assert all("time" in each.why_not for each in found.left_out)
    assert clock.now < 60
    assert {one, two, three} == NAMES
    assert found.step.honest == next(s.honest for s in manifest.steps if set(s.members) == NAMES - set(left))
    assert len(read(tmp_path / "out.csv")) == 91


def test_where_nothing_can_be_done_no_file_is_written(
    packed_once: Workspace, opened: OpenedPack, tmp_path: Path
) -> None:
    with pytest.raises(PredictionFailedError, match=r"no model was done\..*the time was over before it began"):
        predict_pack(opened, [packed_once.root / "test.csv"], tmp_path / "out.csv", budget=1.0, started=-10.0)
    assert not (tmp_path / "out.csv").exists()


def test_empty_and_very_long_texts_are_predicted_like_others(opened: OpenedPack, tmp_path: Path) -> None:
    texts = {"x1": "", "x2": "happy " * 30_000, "x3": "furious rotten", "x4": "   "}
    lines = [f"{name},{text}" for name, text in texts.items()]
    (tmp_path / "test.csv").write_text("\n".join(["id,text", *lines]) + "\n", encoding="utf-8")
    found = predict_pack(opened, [tmp_path / "test.csv"], tmp_path / "out.csv")
    assert [row[0] for row in read(tmp_path / "out.csv")[1:]] == list(texts)
    assert np.isfinite(found.probabilities).all()
    assert not found.left_out


def test_parts_are_found_wherever_they_are_mounted(folder: Path, packed_once: Workspace, tmp_path: Path) -> None:
    manifest, inputs, root = read_manifest(folder), tmp_path / "input", tmp_path / "root"
    root.mkdir()
    scattered(folder, manifest, inputs)
    found = find_pack([inputs], manifest.id)
    opened = open_pack(found, root, [inputs])
    assert set(opened.found) == {file.path for file in manifest.files}
    predicted = predict_pack(opened, [packed_once.root / "test.csv"], tmp_path / "out.csv")
    assert not predicted.left_out
    with pytest.raises(PackError, match="is not in"):
        find_pack([inputs], "0" * 16)


def scattered(folder: Path, manifest: Manifest, inputs: Path) -> None:
    """Every part in a folder of its own."""
    for number, part in enumerate(manifest.parts):
        for file in manifest.part(part):
            alone = part.startswith("weights/")
            place = inputs / f"dataset-{number}" / (file.path.removeprefix(f"{part}/") if alone else file.path)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / file.path, place)
    shutil.copyfile(folder / "manifest.json", inputs / "dataset-0" / "manifest.json")


def test_no_secret_no_path_and_no_text_of_a_training_row_lies_in_a_pack(folder: Path, packed_once: Workspace) -> None:
    with (packed_once.root / "train.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    needles = [str(packed_once.root), str(Path.home()) + "/", "KAGGLE_KEY", "secret-of-ann", *texts]
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".whl":
            content = path.read_bytes()
            assert not [needle for needle in needles if needle.encode() in content], path
