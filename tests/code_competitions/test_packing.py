"""What is packed and what is refused: each refusal names what to do, and leaves an older pack as it was."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compete.base_models.miniatures.writing import write_miniature
from compete.code_competitions import limits, packing
from compete.code_competitions.manifest import MANIFEST, read_manifest
from compete.code_competitions.wheels import write_own_wheel
from compete.competition.workspace import Workspace
from compete.errors import PackError, StoreError, UserError
from compete.workflows.import_model import import_model
from compete.workflows.pack import check_pack, pack, predict_with_pack, rehearse_notebook
from compete.workflows.stack import stack
from conftest import make_rows
from support.in_process import in_process
from support.lived_in import train_models
from support.packs import keeping

TINY = """
family = "sequence_classifier"
[settings]
checkpoint = "someone/tiny"
adaptation = "lora"
epochs = 1
max_length = 32
batch_size = 32
precision = "float32"
"""


def test_what_a_pack_holds(packed_once: Workspace) -> None:
    folder = packed_once.pack("logistic")
    manifest = read_manifest(folder)
    assert (manifest.name, manifest.source, manifest.task) == ("logistic", "stack logistic", "multilabel")
    assert sorted(manifest.parts) == [
        "notebook",
        "weights/linear",
        "weights/nbsvm",
        "weights/net",
        "wheels",
        "workspace",
    ]
    gains = [member.gain for member in manifest.members if member.gain is not None]
    worth = [
        member.gain / (member.seconds_to_load + 90 * member.seconds_per_row)
        for member in manifest.members
        if member.gain is not None and member.gain > 0
    ]
    assert len(gains) == 3
    assert worth == sorted(worth, reverse=True), "worth per second, the highest first"
    sets = [frozenset(step.members) for step in manifest.steps]
    assert len(set(sets)) == len(sets) == 7  # all, the first two, all but one, and each alone
    assert all(step.stack == (None if len(step.members) == 1 else "logistic") for step in manifest.steps)
    notebook = json.loads((folder / "submission.ipynb").read_text(encoding="utf-8"))
    assert any(manifest.id in "".join(cell["source"]) for cell in notebook["cells"])


def test_the_same_workspace_makes_the_same_pack_but_for_its_times(packed: Workspace) -> None:
    before = read_manifest(packed.pack("logistic"))
    again = pack(packed, "logistic", name="again").manifest
    assert {(file.path, file.sha256) for file in before.files if file.part != "notebook"} == {
        (file.path, file.sha256) for file in again.files if file.part != "notebook"
    }


def test_an_imported_member_is_named_with_what_to_do(packed: Workspace, tmp_path: Path) -> None:
    linear = packed.base_model("linear")
    import_model(packed, "theirs", linear.oof, linear.test)
    stack(packed, ["logistic"], allow=["theirs"])
    with pytest.raises(PackError, match=r"theirs was imported.*`compete stack --without theirs`"):
        pack(packed, "logistic")
    assert (packed.pack("logistic") / MANIFEST).is_file(), "the older pack stays"


def test_folds_with_settings_of_their_own_are_packed_and_predict_as_they_were_trained(packed: Workspace) -> None:
    recipe = packed.recipe("linear").read_text(encoding="utf-8")
    (packed.recipes / "apart.toml").write_text(f"{recipe}\n[settings_of_fold.1]\nC = 0.01\n", encoding="utf-8")
    train_models(packed, ["apart"])
    pack(packed, "apart")  # each fold is read again and compared with what it said
    assert check_pack(packed, "apart").problem == ""


def test_a_model_that_was_not_kept_is_named_with_what_to_do(packed: Workspace) -> None:
    folder = packed.base_model("linear").kept(1)
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(StoreError, match=r"fold 1 of linear was not kept.*`compete train-base linear --force`"):
        pack(packed, "logistic")


def test_a_pack_over_the_limit_is_refused_with_its_largest_parts(
    packed: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = limits.Limit("all of it", 1e-4, "GB", "this test")
    monkeypatch.setattr(limits, "PRIVATE_DATA", small)
    with pytest.raises(PackError, match=r"Kaggle's limit is all of it: 0.0001 GB \(this test\)\. Largest: wheels"):
        pack(packed, "linear")
    assert not packed.pack("linear").exists()


def test_what_would_give_this_machine_away_is_refused(packed: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_KEY", "secret-of-ann")
    recipe = packed.recipes / "linear.toml"
    text = recipe.read_text(encoding="utf-8")
    for secret in ("secret-of-ann", f"{packed.root}/notes"):
        recipe.write_text(f'description = "{secret}"\n{text}', encoding="utf-8")
        with pytest.raises(PackError, match=r"linear\.toml would hold a (secret|path) of this machine"):
            pack(packed, "linear")
        assert not packed.pack("linear").exists()


@pytest.mark.parametrize("name", ["../x", "a b", "", "stacks/x"])
def test_a_name_that_is_none_is_refused(packed_once: Workspace, name: str) -> None:
    with pytest.raises(UserError, match="cannot be a pack's name"):
        pack(packed_once, "linear", name=name)


def test_a_pack_that_was_changed_is_refused(packed: Workspace, tmp_path: Path) -> None:
    path = packed.pack("logistic") / MANIFEST
    path.write_text(path.read_text(encoding="utf-8").replace('"honest": 0.', '"honest": 1.', 1), encoding="utf-8")
    with pytest.raises(PackError, match="was changed since it was written"):
        check_pack(packed)
    with pytest.raises(PackError, match="was changed since it was written"):
        predict_with_pack(packed.pack("logistic"), [packed.root / "test.csv"], tmp_path / "out.csv")


def test_a_pack_of_another_competition_is_refused(packed: Workspace) -> None:
    text = packed.declaration.read_text(encoding="utf-8")
    packed.declaration.write_text(text.replace('name = "tiny"', 'name = "another"'), encoding="utf-8")
    for refused in (check_pack, rehearse_notebook):
        with pytest.raises(PackError, match="is of another competition, 'tiny'"):
            refused(packed)


def test_weights_that_say_something_else_in_half_the_bytes_stay_as_they_were(
    packed: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(source: Path, target: Path) -> None:
        shutil.copytree(source, target)
        (target / "weights.safetensors").write_bytes(b"torn")

    monkeypatch.setattr(packing, "_may_be_halved", lambda model, size, wanted: True)
    monkeypatch.setattr(packing, "halve", torn)
    said: list[str] = []
    made = pack(packed, "linear", say=said.append)
    assert made.manifest.members[0].precision == "as trained"
    assert any(
        line.startswith("linear: its weights stay as they were trained, float16 cannot be used") for line in said
    )


def test_a_model_that_says_something_else_when_it_is_read_again_is_not_packed(
    packed: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shifted(*arguments: Any, **more: Any) -> Any:
        return predict_member(*arguments, **more) + np.float32(0.01)

    from compete.code_competitions.prediction import predict_member

    monkeypatch.setattr(packing, "predict_member", shifted)
    with pytest.raises(PackError, match=r"linear: read again from the pack, it says 0\.\d+ of .* where it said"):
        pack(packed, "linear")
    assert not packed.pack("linear").exists()


def test_a_pack_that_says_something_else_than_the_workspace_is_told(
    packed: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compete.code_competitions.offline_run import OfflineRun
    from compete.workflows import pack as workflow

    planned_ids = [row["id"] for row in make_rows(90, 2, "b")]

    def other(folder: Path, test: list[Path], sample: Path | None) -> OfflineRun:
        from compete.competition.data import load_competition
        from compete.oof.store import read_model

        cells = read_model(packed.stack("logistic"), load_competition(packed).shape).test.copy()
        cells[3, 1] += 0.01
        return OfflineRun(planned_ids, cells, b"id\n", {}, "nothing")

    monkeypatch.setattr(workflow, "run_offline", other)
    found = check_pack(packed)
    assert "anger" in found.problem
    assert found.largest == pytest.approx(0.01, abs=1e-6)


def test_the_wheel_holds_every_file_of_the_package_and_is_the_same_every_time(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    first, second = write_own_wheel(tmp_path), write_own_wheel(tmp_path / "again")
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
        record = archive.read(next(name for name in names if name.endswith("RECORD"))).decode()
    assert {"compete/__init__.py", "compete/cli/main.py", "compete/py.typed"} <= set(names)
    assert [line.split(",")[0] for line in record.splitlines()] == names
    assert not [name for name in names if "__pycache__" in name or "direct_url" in name]


def with_checkpoint(root: Path) -> Workspace:
    """A stack with adapters on a local checkpoint."""
    workspace = keeping(root, ("tiny", TINY))
    texts = [row["text"] for row in make_rows(240, 1, "a")]
    (root / "tiny").mkdir()
    write_miniature("distilbert", texts, root / "tiny", 0)
    with workspace.declaration.open("a", encoding="utf-8") as file:
        file.write('\n[checkpoints]\n"someone/tiny" = "tiny"\n')
    return workspace


@pytest.fixture(scope="module")
def tiny_once(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    from support.lived_in import build_stacks

    workspace = with_checkpoint(tmp_path_factory.mktemp("tiny"))
    train_models(workspace, ["tiny", "linear"])
    build_stacks(workspace, ["logistic"])
    return workspace


@pytest.mark.slow
def test_a_checkpoint_is_taken_along_only_where_its_licence_allows_it(
    tiny_once: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "_SMALLEST_HALVED", 0)
    asked: list[tuple[str, str | None]] = []

    def no(name: str, licence: str | None) -> bool:
        asked.append((name, licence))
        return False

    with pytest.raises(PackError, match=r"someone/tiny would be taken along.*--accept-licence someone/tiny"):
        pack(tiny_once, "logistic", ask=no)
    readme = tiny_once.root / "tiny" / "README.md"
    readme.write_text("---\nlicense: gemma\n---\n# Tiny\n", encoding="utf-8")
    with pytest.raises(PackError, match="its licence is gemma"):
        pack(tiny_once, "logistic", ask=no)
    assert asked == [("someone/tiny", None), ("someone/tiny", "gemma")]
    with pytest.raises(PackError, match="no model of the pack stands on the checkpoint 'another'"):
        pack(tiny_once, "logistic", kaggle_models=["another=a/b/c/d/1"])
    with pytest.raises(UserError, match="is not of the form NAME=OWNER/MODEL"):
        pack(tiny_once, "logistic", kaggle_models=["someone/tiny=nonsense"])
    accepted = pack(tiny_once, "logistic", accept_licences=["someone/tiny"]).manifest.checkpoints[0]
    assert (accepted.licence, accepted.accepted, accepted.comes) == ("gemma", True, "included")
    readme.write_text("---\nlicense: apache-2.0\n---\n", encoding="utf-8")
    manifest = pack(tiny_once, "logistic", ask=no).manifest
    assert manifest.checkpoints[0].accepted is False
    assert manifest.part("checkpoints/0")
    halved = {member.name: member.precision for member in manifest.members}
    assert halved == {"tiny": "float16", "linear": "as trained"}
    made = predict_with_pack(
        tiny_once.pack("logistic"), [tiny_once.root / "test.csv"], tmp_path / "out.csv",
        sample=tiny_once.root / "sample.csv",
    )  # fmt: skip
    assert not made.left_out


@pytest.mark.slow
def test_a_checkpoint_that_kaggle_has_is_found_by_the_hash_of_its_files(tiny_once: Workspace, tmp_path: Path) -> None:

    from compete.code_competitions.opened_pack import open_pack

    address = "someone/tiny/transformers/base/3"
    made = pack(tiny_once, "logistic", name="referred", kaggle_models=[f"someone/tiny={address}"])
    assert not made.manifest.part("checkpoints/0")
    right = tmp_path / "input" / "tiny" / "transformers" / "base" / "3"
    shutil.copytree(tiny_once.root / "tiny", right)
    wrong = tmp_path / "input" / "someone" / "tiny" / "transformers" / "base" / "3"
    shutil.copytree(tiny_once.root / "tiny", wrong)
    (wrong / "tokenizer.json").write_text("{}", encoding="utf-8")
    for number, (inputs, missing) in enumerate([(tmp_path / "input", 0), (tmp_path / "elsewhere", 1)]):
        root = tmp_path / str(number)
        root.mkdir()
        opened = open_pack(made.folder, root, [inputs])
        assert len(opened.looked_for) == missing
    assert "the checkpoint someone/tiny was not found: tiny cannot be predicted" in opened.looked_for[0]


def test_a_test_set_that_is_hidden_is_said_and_never_sent_as_a_csv(
    packed: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from compete.competition.declaration import read_declaration

    run = in_process(packed.root, monkeypatch, capsys)
    text = packed.declaration.read_text(encoding="utf-8").replace("[data]\n", "[data]\nhidden_test = true\n")
    text = text.replace("keep_weights = true", "keep_weights = false")
    text = text.replace("[submission]\n", '[submission]\ntarget = "kaggle"\nkaggle = "tiny"\n')
    packed.declaration.write_text(text, encoding="utf-8")
    assert read_declaration(packed).keeps_weights
    status = run("status")
    assert (status.code, "the test set is hidden" in status.stderr) == (0, True)
    assert "fresh" in status.stdout
    assert "stale" not in status.stdout, "what was trained before stays"
    for command in (["train-base", "linear", "--workers", "0"], ["stack", "logistic"]):
        ran = run(*command)
        assert (ran.code, "the 90 rows of test are those that can be seen" in ran.stderr) == (0, True)
    sent = run("submit", "--yes")
    assert sent.code == 2
    assert "`compete pack` makes the notebook" in sent.stderr


def test_the_commands(
    packed: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = in_process(packed.root, monkeypatch, capsys)
    packed_too = run("pack", "linear", "--budget", "30m", "--json")
    assert packed_too.code == 0
    assert packed_too.document["budget_seconds"] == 1800
    assert run("pack", "linear", "--name", "table").stdout.count("linear") > 1
    files = ["--pack", str(packed.pack("linear")), "--test", str(packed.root / "test.csv")]
    made = run("predict", *files, "-o", "out.csv", "--json", cwd=tmp_path)
    assert (made.code, made.document["rows"], made.document["left_out"]) == (0, 90, {})
    assert (tmp_path / "out.csv").is_file()
    wrong = {
        ("pack", "nothing"): "no stack or base model is called 'nothing'",
        ("pack", "linear", "--budget", "soon"): "--budget: 'soon' is no length of time",
        ("pack", "--check", "nothing"): "no pack is called 'nothing'",
        ("pack", "linear", "--wheels", "base_models"): "base_models holds no wheels",
        ("pack", "linear", "--wheel", "train.csv"): "train.csv is no wheel",
        ("predict", "--pack", "packs/linear"): "name it with --test FILE",
        ("predict", "--pack", "base_models", "--test", "test.csv"): "base_models is no pack",
        ("predict", "--pack", "packs/linear", "--test", "no.csv"): "no.csv does not exist",
        ("predict", "--pack", "packs/linear", "--test", "test.csv", "-o", "test.csv"): "over the test file",
        ("predict", "test.csv", "--sample", "sample.csv"): "--sample is for --pack FOLDER",
        ("predict",): "name the file to predict",
        ("rehearse", "--notebook", "--pack", "nothing"): "no pack is called 'nothing'",
    }
    for command, message in wrong.items():
        ran = run(*command)
        assert (ran.code, message in ran.stderr) == (2, True), (command, ran.stderr)


def test_where_there_is_no_pack_the_command_that_makes_one_is_named(workspace: Workspace) -> None:
    with pytest.raises(PackError, match="`compete pack` makes one"):
        check_pack(workspace)
