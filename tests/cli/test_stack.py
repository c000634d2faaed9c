"""`compete stack` as a user types it: what it builds, chooses and remembers, and what it refuses."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from compete.competition.data import Competition, load_competition
from compete.competition.starter import starter_folder
from compete.competition.workspace import Workspace
from compete.execution.inline import InlineExecutor
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.work import choose_recipes, find_work, train
from compete.stacking.choosing import remembered_choice
from compete.stacking.stack_recipes import stack_names
from support.in_process import Ran, Run, in_process
from support.lived_in import write_model

pytestmark = pytest.mark.slow

SHIPPED = ["blend", "lightgbm", "logistic", "mean", "second_level"]


def train_models(workspace: Workspace, *names: str) -> Competition:
    competition = load_competition(workspace)
    train(find_work(competition, choose_recipes(competition, names)), InlineExecutor())
    return competition


@pytest.fixture
def compete(trained: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(trained.root, monkeypatch, capsys)


def write_stack(workspace: Workspace, name: str, text: str) -> None:
    (workspace.stack_recipes / f"{name}.toml").write_text(text + "\n", encoding="utf-8")


def built(workspace: Workspace) -> list[str]:
    """Stacks that lie in oof/, and the choice if there is one."""
    return sorted(path.name for path in (workspace.oof / "stacks").glob("*"))


def refused(ran: Ran, *said: str) -> None:
    assert ran.code == 2, ran.stdout + ran.stderr
    assert ran.stderr.count("error: ") == 1
    assert "Traceback" not in ran.stderr
    for part in said:
        assert part in ran.stderr


def test_every_shipped_recipe_is_built_and_one_is_chosen_and_sent(trained: Workspace, compete: Run) -> None:
    for recipe in (starter_folder() / "stacking").glob("*.toml"):
        shutil.copy(recipe, trained.stack_recipes)
    assert stack_names(trained) == SHIPPED
    ran = compete("stack", "--leave-one-out")
    assert ran.code == 0, ran.stderr
    assert built(trained) == sorted([*SHIPPED, "choice.json"])
    for name in SHIPPED:
        assert sum(line.startswith(f"stack {name} ") for line in ran.stdout.splitlines()) == 1
    for title in ("95 % interval", "in test, 95 %", "threshold", "correlation of errors", "gain by it"):
        assert title in ran.stdout
    chosen = remembered_choice(trained)
    assert chosen in SHIPPED
    assert f"chosen: {chosen}, " in ran.stdout

    sent = compete("submit")
    assert sent.code == 0, sent.stderr
    assert f"submissions/001_{chosen}.csv: checked, 90 rows" in sent.stderr
    assert f"submissions/001_{chosen}.csv: 90 rows, sent to local" in sent.stdout


def test_a_second_call_says_the_same_and_writes_nothing_but_with_force(trained: Workspace, compete: Run) -> None:
    first = compete("stack", "--leave-one-out")
    files = {path: path.stat().st_mtime_ns for path in trained.stacks.rglob("*.*") if path.name != "choice.json"}
    again = compete("stack", "--leave-one-out")
    assert again.stdout == first.stdout
    assert {path: path.stat().st_mtime_ns for path in files} == files
    forced = compete("stack", "--leave-one-out", "--force")
    assert forced.stdout == first.stdout
    written = [path.name for path, then in files.items() if path.stat().st_mtime_ns > then]
    assert {"manifest.json", "leave_one_out.json"} <= set(written)


def test_a_named_stack_is_built_alone_and_sent_from_then_on(trained: Workspace, compete: Run) -> None:
    write_stack(trained, "plain", 'method = "mean"')
    assert compete("stack").code == 0
    assert built(trained) == ["choice.json", "logistic", "plain"]
    before = trained.stack("logistic").record.read_bytes()
    ran = compete("stack", "plain")
    assert ran.code == 0, ran.stderr
    assert "chosen:" not in ran.stdout
    assert "stack logistic" not in ran.stdout
    assert trained.stack("logistic").record.read_bytes() == before
    assert remembered_choice(trained) == "plain"
    assert "001_plain.csv" in compete("submit").stdout


def test_the_mean_and_a_blend_of_the_base_models_are_shown_beside_stacks(trained: Workspace, compete: Run) -> None:
    rows = [line.split()[0] for line in compete("stack").stdout.splitlines() if line]
    assert rows.count("mean") == rows.count("blend") == 1
    assert {"words", "words_smooth"} <= set(rows)


def test_methods_that_no_shipped_recipe_has_are_built_and_sent_and_their_weights_kept(
    trained: Workspace, compete: Run
) -> None:
    write_stack(trained, "simplex", 'method = "nelder_mead"\nper = "label"')
    write_stack(trained, "squares", 'method = "ridge"')
    write_stack(trained, "ranks", 'method = "mean"\nranks = true')
    ran = compete("stack", "simplex", "squares", "ranks")
    assert ran.code == 0, ran.stderr
    assert built(trained) == ["choice.json", "ranks", "simplex", "squares"]
    weights = np.array(list(json.loads(trained.stack("simplex").record.read_text())["state"]["weights"].values()))
    assert weights.sum(axis=0) == pytest.approx(1)
    for name in ("simplex", "squares", "ranks"):
        assert compete("submit", name).code == 0


def test_what_a_stack_of_stacks_is_made_of_is_built_with_it(trained: Workspace, compete: Run) -> None:
    write_stack(trained, "plain", 'method = "mean"')
    write_stack(trained, "other", 'method = "blend"')
    write_stack(trained, "top", 'method = "blend"\nstacks = ["plain", "logistic"]')
    assert compete("stack", "top").code == 0
    assert built(trained) == ["choice.json", "logistic", "plain", "top"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'method = "mean"\nmodels = ["words", "absent"]',
            ("absent, which stacking/new.toml names: not trained yet", "`compete train-base absent`"),
        ),
        (
            'method = "mean"\nmodels = ["words", "wrods"]',
            ("stacking/new.toml: no base model 'wrods'", "did you mean 'words'?"),
        ),
        ('method = "mean"\nmodels = ["words"]', ("at least two base models, and there is one (words",)),
        ('method = "mean"\nstacks = ["logistic", "lostgic"]', ("lostgic.toml", "did you mean 'logistic'?")),
        ('method = "logistic"\nC = "x"', ("stacking/new.toml", 'C.0: found "x"')),
        ('method = "logistic"\nC = [1, -1]', ("stacking/new.toml", "C.1: found -1, should be greater than 0")),
        ('method = "logistic"\nper = "label"', ("new.toml: 1 problem", 'per: has no meaning for method = "logistic"')),
        ('method = "mean"\n[trees]\nseed = 1', ("new.toml: 1 problem", 'trees: has no meaning for method = "mean"')),
        (
            'method = "logistic"\nstacks = ["a", "b"]',
            ("new.toml: 1 problem", 'stacks: are combined by method = "mean" or "blend"'),
        ),
        ('method = "mean"\nstacks = ["logistic"]', ("new.toml: 1 problem", "stacks: found", "at least 2")),
        (
            'method = "mean"\nmodels = ["words"]\nstacks = ["a", "b"]',
            ("new.toml: 1 problem", "stacks: and models exclude each other"),
        ),
        ('method = "logistics"', ("did you mean 'logistic'?",)),
        ('method = "lightgbm"\n[trees]\nleaves = 3', ("trees.leaves: unknown key; did you mean 'num_leaves'?",)),
        (
            'method = "blend"\nthresholds = "per_row"',
            ('stack new: thresholds = "per_row" is not for macro-F1, which takes cross_fitted, empirical, expected',),
        ),
        (
            'method = "mean"\nC = 3\nper = "label"\nrow_features = true',
            ("3 problems", "C: has no meaning", "per: has no meaning", "row_features: has no meaning"),
        ),
    ],
)
def test_a_mistake_in_a_recipe_is_named_and_nothing_written(
    trained: Workspace, compete: Run, text: str, said: tuple[str, ...]
) -> None:
    write_model(trained, "absent", 2.0)
    write_stack(trained, "new", text)
    refused(compete("stack", "new"), *said)
    assert built(trained) == []


@pytest.mark.parametrize("value", ['"x"', "0", "[1, -1]"])
def test_a_wrong_penalty_is_one_problem_under_its_own_key(trained: Workspace, compete: Run, value: str) -> None:
    write_stack(trained, "new", f'method = "logistic"\nC = {value}')
    ran = compete("stack", "new")
    refused(ran, "stacking/new.toml: 1 problem\n  C")
    assert "constrained" not in ran.stderr


def test_a_list_of_no_penalty_is_a_mistake(trained: Workspace, compete: Run) -> None:
    write_stack(trained, "new", 'method = "logistic"\nC = []')
    refused(compete("stack", "new"), "stacking/new.toml", "C")


def test_a_rule_that_is_not_for_the_metric_is_refused_before_anything_is_built(
    trained: Workspace, compete: Run
) -> None:
    write_stack(trained, "plain", 'method = "mean"')
    write_stack(trained, "new", 'method = "blend"\nthresholds = "per_row"')
    refused(compete("stack"), 'thresholds = "per_row" is not for macro-F1')
    assert built(trained) == []


def test_stacks_in_a_circle_are_refused(trained: Workspace, compete: Run) -> None:
    write_stack(trained, "a", 'method = "mean"\nstacks = ["b", "logistic"]')
    write_stack(trained, "b", 'method = "mean"\nstacks = ["logistic", "a"]')
    for names in (["a"], [], ["logistic", "b"]):
        refused(compete("stack", *names), "a stack of itself", "b -> a" if names == ["logistic", "b"] else "a -> b")
    assert built(trained) == []


def test_a_name_that_is_no_recipe_gets_the_nearest(trained: Workspace, compete: Run) -> None:
    refused(compete("stack", "logistics"), "no recipe stacking/logistics.toml", "did you mean 'logistic'?")


def test_without_any_recipe_it_says_where_there_are_some(trained: Workspace, compete: Run) -> None:
    (trained.stack_recipes / "logistic.toml").unlink()
    refused(compete("stack"), "stacking/ holds no recipe", "compete init")


def test_a_stale_model_is_named_whether_or_not_the_recipe_names_it(trained: Workspace, compete: Run) -> None:
    write_stack(trained, "named", 'method = "mean"\nmodels = ["words", "words_smooth"]')
    write_model(trained, "words", 9.0)
    for name in ("logistic", "named"):
        refused(compete("stack", name), "words: settings.smoothing: 1.0 -> 9.0", "--without words")
    assert built(trained) == []


def test_a_model_that_one_recipe_names_is_left_out_for_all_when_asked(trained: Workspace, compete: Run) -> None:
    write_model(trained, "third", 20.0)
    train_models(trained, "third")
    write_stack(trained, "named", 'method = "mean"\nmodels = ["third", "words", "words_smooth"]')
    ran = compete("stack", "--without", "words")
    assert ran.code == 0, ran.stderr
    assert "words: left out as asked, not stacked" in ran.stderr
    for name in ("logistic", "named"):
        assert store.read_record(trained.stack(name))["models"] == ["third", "words_smooth"]


@pytest.fixture
def damaged(trained: Workspace) -> Workspace:
    """A team mate's model that says the same of joy for every row of the test set."""
    competition = load_competition(trained)
    of_words = store.read_model(trained.base_model("words"), competition.shape)
    test = of_words.test.copy()
    test[:, 0] = 0.5
    record = {"kind": "imported", "identity": with_plan(competition).identity}
    wrong = store.Predictions(of_words.oof, test)
    store.write_model(trained.base_model("mate"), wrong, competition.shape, record)
    return trained


def test_an_alarm_names_the_model_and_the_evidence_and_nothing_is_written(damaged: Workspace, compete: Run) -> None:
    refused(
        compete("stack"),
        "alarm: mate: the same test prediction in every row for joy\n",
        "--without mate",
        "--allow mate",
    )
    assert built(damaged) == []
    refused(compete("stack", "--allow", "words"), "alarm: mate: ")
    assert built(damaged) == []


def test_an_alarm_is_put_aside_for_the_model_that_is_allowed_by_name(damaged: Workspace, compete: Run) -> None:
    ran = compete("stack", "--allow", "mate")
    assert ran.code == 0, ran.stderr
    manifest = store.read_record(damaged.stack("logistic"))
    assert sorted(manifest["models"]) == ["mate", "words", "words_smooth"]
    assert compete("submit").code == 0


def test_an_alarm_is_gone_with_its_model(damaged: Workspace, compete: Run) -> None:
    assert compete("stack", "--without", "mate").code == 0
    write_stack(damaged, "named", 'method = "mean"\nmodels = ["words", "words_smooth"]')
    assert compete("stack", "named").code == 0


def test_an_unknown_model_cannot_be_allowed(trained: Workspace, compete: Run) -> None:
    refused(
        compete("stack", "--allow", "wrods"),
        "--allow wrods: no base model of that name is stacked; did you mean 'words'?",
    )


def test_the_worth_of_base_models_adds_nothing_to_the_store(trained: Workspace, compete: Run) -> None:
    assert compete("stack").code == 0
    before = {path: path.read_bytes() for path in (trained.oof / "stacks").rglob("*.parquet")}
    choice = json.loads((trained.oof / "stacks" / "choice.json").read_text(encoding="utf-8"))
    ran = compete("stack", "--leave-one-out")
    assert ran.code == 0, ran.stderr
    rows = [line.split() for line in ran.stdout.split("base model  ")[1].splitlines()]
    assert {row[0] for row in rows[2:4]} == {"words", "words_smooth"}
    assert {path: path.read_bytes() for path in (trained.oof / "stacks").rglob("*.parquet")} == before
    assert choice == {"stack": "logistic"}


@pytest.mark.parametrize("metric", ["f1_micro", "f1_samples", "jaccard_samples"])
def test_other_metrics_are_stacked_and_shown(trained: Workspace, compete: Run, metric: str) -> None:
    _set_metric(trained, metric)
    ran = compete("stack", "--leave-one-out")
    assert ran.code == 0, ran.stderr
    assert ("threshold" in ran.stdout) and ("per_row" not in ran.stdout)


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc_macro"])
def test_metrics_of_probabilities_are_stacked_and_shown_without_thresholds(
    trained: Workspace, compete: Run, metric: str
) -> None:
    _set_metric(trained, metric)
    ran = compete("stack", "--leave-one-out")
    assert ran.code == 0, ran.stderr
    assert "threshold" not in ran.stdout


def _set_metric(workspace: Workspace, metric: str) -> None:
    text = workspace.declaration.read_text(encoding="utf-8")
    workspace.declaration.write_text(f'metric = "{metric}"\n{text}', encoding="utf-8")
