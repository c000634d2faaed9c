"""--json: standard output is one document with the numbers of the tables, and nothing else."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main

from compete.cli.main import app
from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.survey import survey
from compete.stacking.choosing import remembered_choice
from compete.stacking.leave_one_out import kept_contributions
from compete.stacking.scoring import whole_model_scores
from compete.submissions.ledger import ledger_of
from support.in_process import Run, in_process

pytestmark = pytest.mark.slow

LABELS = ["joy", "anger", "trust"]


@pytest.fixture
def compete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(tmp_path, monkeypatch, capsys)


def score_of(record: dict[str, Any]) -> tuple[float, float, float, float]:
    return (record["honest"], record["low"], record["high"], record["naive"])


def by_name(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {record["name"]: record for record in records}


def test_every_command_with_a_table_has_the_option() -> None:
    commands = getattr(typer.main.get_command(app), "commands", {})
    with_json = {name for name, each in commands.items() if any("--json" in o.opts for o in each.params)}
    assert with_json == {
        "status", "folds", "stack", "scores", "finalists", "plan", "rehearse", "ship", "submit", "train-base", "import",
        "pack", "predict",
    }  # fmt: skip


def test_status_of_what_is_not_trained(workspace: Workspace, compete: Run) -> None:
    ran = compete("status", "--json")
    assert (ran.code, ran.stderr) == (0, "")
    assert (ran.document["competition"], ran.document["metric"], ran.document["size"]) == ("tiny", "f1_macro", "full")
    assert [(m["name"], m["state"], m["folds_done"], m["honest"]) for m in ran.document["models"]] == [
        ("words", "missing", 0, None),
        ("words_smooth", "missing", 0, None),
    ]


def test_status_of_no_model_at_all_is_an_empty_list(workspace: Workspace, compete: Run) -> None:
    for recipe in workspace.recipes.glob("*.toml"):
        recipe.unlink()
    assert compete("status", "--size", "laptop", "--json").document == {
        "competition": "tiny",
        "metric": "f1_macro",
        "size": "laptop",
        "plan_changes": [],
        "models": [],
    }


def test_status_has_the_scores_in_full_and_says_what_is_stale(trained: Workspace, compete: Run) -> None:
    looked = survey(trained)
    scores = whole_model_scores(trained, looked.declaration, looked.states)
    recipe = trained.recipes / "words.toml"
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("1.0", "2.0"), encoding="utf-8")
    ran = compete("status", "--json")
    models = by_name(ran.document["models"])
    smooth = scores["words_smooth"]
    assert score_of(models["words_smooth"]) == (smooth.honest, smooth.low, smooth.high, smooth.naive)
    assert models["words_smooth"]["family"] == "families.py:Words"
    assert (models["words_smooth"]["folds_done"], models["words_smooth"]["folds"]) == (3, 3)
    seconds = store.read_record(trained.base_model("words_smooth"))["seconds"]
    assert models["words_smooth"]["seconds"] == seconds
    assert (models["words"]["state"], models["words"]["honest"]) == ("stale", None)
    assert models["words"]["reasons"] == ["settings.smoothing: 1.0 -> 2.0"]
    assert "words is stale" in ran.stderr


def test_training_ends_with_the_status_and_reports_on_standard_error(workspace: Workspace, compete: Run) -> None:
    family = workspace.root / "families.py"
    noisy = family.read_text(encoding="utf-8").replace(
        "        time.sleep", "        print('noise')\n        time.sleep"
    )
    family.write_text(noisy, encoding="utf-8")
    ran = compete("train-base", "words", "--fold", "1", "--workers", "0", "--json")
    assert ran.code == 0, ran.stderr
    (words,) = ran.document["models"]
    assert (words["name"], words["state"], words["folds_done"]) == ("words", "missing", 1)
    assert "[1/1] words fold 1: " in ran.stderr
    assert "noise" in ran.stderr


def test_training_that_fails_still_ends_with_the_status_and_with_one(workspace: Workspace, compete: Run) -> None:
    family = workspace.root / "families.py"
    broken = family.read_text(encoding="utf-8").replace(
        "        time.sleep", "        raise ValueError('no')\n        time.sleep"
    )
    family.write_text(broken, encoding="utf-8")
    ran = compete("train-base", "words", "--workers", "0", "--json")
    assert ran.code == 1
    assert ran.document["models"][0]["folds_done"] == 0
    assert "error: 3 of 3 jobs failed" in ran.stderr


def test_folds_count_rows_and_rates_of_every_fold(workspace: Workspace, compete: Run) -> None:
    found = compete("folds", "--json").document
    competition = load_competition(workspace)
    planned = with_plan(competition)
    assert (found["k"], found["fingerprint"], found["file"]) == (3, planned.plan.fingerprint, "oof/folds.parquet")
    rates = competition.train_targets.mean(axis=0)
    assert found["train"] == {"rows": 240, "label_rates": dict(zip(LABELS, rates.tolist(), strict=True))}
    assert [fold["fold"] for fold in found["folds"]] == [0, 1, 2]
    for fold in found["folds"]:
        rows = competition.train_targets[planned.plan.rows(fold["fold"])]
        assert fold["rows"] == len(rows)
        assert fold["label_rates"] == dict(zip(LABELS, rows.mean(axis=0).tolist(), strict=True))


def test_stack_tells_all_of_its_tables(trained: Workspace, compete: Run) -> None:
    (trained.stack_recipes / "plain.toml").write_text('method = "mean"\n', encoding="utf-8")
    ran = compete("stack", "--leave-one-out", "--json")
    assert ran.code == 0, ran.stderr
    found = ran.document
    assert found["metric"] == "f1_macro"
    assert found["chosen"] == remembered_choice(trained)
    assert [(each["name"], each["method"]) for each in found["stacks"]] == [("plain", "mean"), ("logistic", "logistic")]
    for each in found["stacks"]:
        kept = store.read_record(trained.stack(each["name"]))["score"]
        assert score_of(each) == score_of(kept)
        assert each["models"] == ["words", "words_smooth"]
        assert np.mean(each["repeats"]) == pytest.approx(each["honest"])
    assert [each["name"] for each in found["references"]] == ["mean", "blend"]
    best, worst = found["base_models"]
    assert {best["name"], worst["name"]} == {"words", "words_smooth"} and best["honest"] >= worst["honest"]
    chosen = by_name(found["stacks"])[found["chosen"]]
    assert found["gain_over_best_base_model"] == chosen["honest"] - best["honest"]
    assert (found["honest_where_worth"] is None) == all(label["worth_tuning"] for label in found["labels"])
    kept = store.read_record(trained.stack(found["chosen"]))
    assert [label["name"] for label in found["labels"]] == LABELS
    for label, rate in zip(found["labels"], kept["test rates"], strict=True):
        of = kept["score"]["labels"][label["name"]]
        assert {name: label[name] for name in of} == of
        assert label["test_rate"] == rate
        assert label["worth_tuning"] is (label["gain_low"] > 0)
    assert found["left_out"] == []
    worths = kept_contributions(trained.stack(found["chosen"]), kept)
    assert worths is not None
    assert [(w["model"], w["without"], w["gain"]) for w in found["leave_one_out"]] == [
        (w.model, w.without, w.gain) for w in worths
    ]
    matrix = np.array(found["error_correlation"]["matrix"])
    assert found["error_correlation"]["models"] == ["words", "words_smooth"]
    assert np.diag(matrix) == pytest.approx([1, 1]) and matrix[0, 1] == matrix[1, 0]


def test_stack_names_what_was_left_out_and_why_and_does_not_make_up_worth(trained: Workspace, compete: Run) -> None:
    recipe = (trained.recipes / "words.toml").read_text(encoding="utf-8")
    (trained.recipes / "absent.toml").write_text(recipe, encoding="utf-8")
    ran = compete("stack", "--json")
    assert ran.document["left_out"] == [{"name": "absent", "reason": "not trained yet"}]
    assert "absent: not trained yet, not stacked" in ran.stderr
    assert (ran.document["leave_one_out"], ran.document["error_correlation"]) == (None, None)


def test_a_rule_without_thresholds_gives_null(trained: Workspace, compete: Run) -> None:
    """The record of a rule by row has NaN for thresholds, which no JSON parser need accept."""
    declaration = trained.declaration.read_text(encoding="utf-8")
    trained.declaration.write_text(f'metric = "jaccard_samples"\n{declaration}', encoding="utf-8")
    text = 'method = "mean"\nthresholds = "per_row"\n'
    (trained.stack_recipes / "logistic.toml").write_text(text, encoding="utf-8")
    ran = compete("stack", "--json")
    assert ran.code == 0, ran.stderr
    assert [label["threshold"] for label in ran.document["labels"]] == [None] * 3
    assert ran.document["metric"] == "jaccard_samples"


def test_submissions_scores_and_finalists_tell_the_ledger(trained: Workspace, compete: Run) -> None:
    assert compete("stack", "--json").code == 0
    sent = compete("submit", "--json")
    assert sent.code == 0, sent.stderr
    (entry,) = ledger_of(trained).entries()
    told = sent.document
    assert (told["target"], told["sent"], told["rows"]) == ("local", True, 90)
    assert (told["submission"]["number"], told["submission"]["source"]) == (1, "stack logistic")
    assert told["submission"]["public"] == entry.outcome.public
    assert told["submission"]["created"] == entry.created.isoformat()
    assert "private" not in told["submission"]
    assert "checked, 90 rows" in sent.stderr and "sent to local" in sent.stderr

    assert compete("submit", "words", "--json").document["submission"]["source"] == "base model words"
    hidden = compete("scores", "--json").document
    assert [each["private"] for each in hidden["submissions"]] == [None, None]
    found = compete("scores", "--private", "--json").document
    entries = ledger_of(trained).entries()
    for each, known in zip(found["submissions"], entries, strict=True):
        assert (each["public"], each["private"]) == (known.outcome.public, known.outcome.private)
        assert (each["validation"], each["public_low"]) == (known.submission.validation, known.submission.public_low)
        assert each["private_minus_public"] == each["private"] - each["public"]
    assert any("shake-up" in sentence for sentence in found["reading"])

    finalists = compete("finalists", "--json").document
    assert sorted(finalists["select"]) == [1, 2]
    assert (finalists["target"], finalists["page"], finalists["left_out"]) == ("local", None, [])
    assert sum(each["best_probability"] for each in finalists["candidates"]) == pytest.approx(1)
    assert finalists["candidates"][0]["behind"] == 0


def test_exporting_writes_the_csv_and_prints_the_same_document(trained: Workspace, compete: Run) -> None:
    assert compete("submit", "words", "--json").code == 0
    plain = compete("scores", "--json").document
    exported = compete("scores", "--export", "ledger.csv", "--json").document
    assert exported == {**plain, "exported": "ledger.csv"}
    assert (trained.root / "ledger.csv").read_text(encoding="utf-8").count("base model words") == 2
    read_back = compete("scores", "--from", "ledger.csv", "--json").document
    assert read_back["submissions"][0]["public"] == plain["submissions"][0]["public"]


def test_no_submissions_are_an_empty_list(workspace: Workspace, compete: Run) -> None:
    ran = compete("scores", "--json")
    assert (ran.code, ran.document) == (0, {"submissions": [], "reading": [], "exported": None})


@pytest.mark.parametrize(
    "command", [("finalists",), ("stack",), ("train-base",), ("submit", "words"), ("plan", "wrods")]
)
def test_a_command_that_cannot_run_prints_no_document_and_the_usual_exit_code(
    workspace: Workspace, compete: Run, command: tuple[str, ...]
) -> None:
    plain, ran = compete(*command), compete(*command, "--json")
    assert (ran.code, ran.stdout) == (plain.code, "") == (2, "")
    assert ran.stderr == plain.stderr


def test_an_imported_model_is_told_as_status_tells_it(trained: Workspace, compete: Run) -> None:
    competition = load_competition(trained)
    of_words = store.read_model(trained.base_model("words"), competition.shape)
    for name, ids, values in (
        ("oof", competition.train_ids, of_words.oof),
        ("mate", competition.test_ids, of_words.test),
    ):
        lines = [
            ",".join(["id", *LABELS]),
            *(f"{i},{','.join(map(str, row))}" for i, row in zip(ids, values, strict=True)),
        ]
        (trained.root / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (mate,) = compete("import", "mate", "--oof", "oof.csv", "--test", "mate.csv", "--json").document["models"]
    assert (mate["name"], mate["family"], mate["kind"], mate["seconds"]) == ("mate", None, "imported", None)
    assert score_of(mate) == pytest.approx(score_of(by_name(compete("status", "--json").document["models"])["words"]))


def test_a_plan_of_models_without_checkpoints(workspace: Workspace, compete: Run) -> None:
    ran = compete("plan", "--json", "--workers", "1")
    assert ran.code == 0, ran.stderr
    assert ran.document["machine"]["workers"] == 1
    assert ran.document["machine"]["folds"] == 3
    assert [m["aside"] for m in ran.document["models"]] == ["no checkpoint, runs on the processor"] * 2
    assert ran.document["downloads"]["size"] == 0


def test_a_rehearsal_tells_promises_and_truth(workspace: Workspace, compete: Run) -> None:
    ran = compete("rehearse", "--workers", "0", "--share", "0.4", "--json")
    assert ran.code == 0, ran.stderr
    found = ran.document
    assert (found["folder"], found["metric"]) == ("rehearsals/0", "f1_macro")
    assert [each["number"] for each in found["submissions"]] == [1, 2, 3]
    assert all(each["private"] is not None for each in found["submissions"])
    assert set(found["finalists"]["select"]) <= {1, 2, 3}
    assert found["summary"][0].startswith("public scores in the range that was promised: ")


class Ascii(io.TextIOWrapper):
    """Standard output of a scheduler that knows ASCII alone."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="ascii")

    def text(self) -> str:
        self.flush()
        written = self.buffer
        assert isinstance(written, io.BytesIO)
        return written.getvalue().decode("utf-8")


@pytest.mark.parametrize("command", ["status", "folds", "stack"])
def test_ascii_output_has_no_other_letters_and_fails_on_none(
    trained: Workspace, compete: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    with Ascii() as out:
        monkeypatch.setattr(sys, "stdout", out)
        ran = compete(command)
        text = out.text()
    assert ran.code == 0, ran.stderr
    assert text.isascii() and "\x1b" not in text and "words" in text + "words" * (command == "folds")
    assert ("+-" in text) is (command == "stack")
    assert set(text.splitlines()[1 + (command == "status")]) == {"-"}


def test_a_document_is_utf_8_where_the_terminal_is_ascii(
    workspace: Workspace, compete: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = workspace.declaration.read_text(encoding="utf-8").replace('"tiny"', '"gefühle"')
    workspace.declaration.write_text(text, encoding="utf-8")
    with Ascii() as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert compete("status", "--json").code == 0
        assert json.loads(out.text())["competition"] == "gefühle"
