"""What training leaves behind: a model that can be read again, without pickle, and gives the same probabilities."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.base_models.families import TOLERANCES
from compete.base_models.recipes import load_recipe
from compete.competition.data import Competition, load_competition
from compete.competition.workspace import Workspace
from compete.errors import JobsFailedError, StoreError, UserError
from compete.execution.inline import InlineExecutor
from compete.execution.local import LocalExecutor
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.job import make_job
from compete.oof.kept import check_job, load_kept
from compete.oof.state import State, model_state, stored_models
from compete.oof.work import choose_recipes, find_work, train
from compete.stacking.new_texts import predict_base_model

pytestmark = pytest.mark.slow

LINEAR = 'family = "linear"\n[settings]\nword_ngrams = [1, 1]\nchar_ngrams = [2, 3]\n'
FFNN = 'family = "ffnn"\n[settings]\nembedding_size = 8\nhidden = [8]\nepochs = 1\nmembers = 2\n'

# Predicts the rates of its training labels; `broken` is what goes wrong when it is read again.
RATES = """
import json
import os

import numpy as np
from pydantic import BaseModel


class Rates:
    version = 1

    class Settings(BaseModel):
        broken: str = ""
        remote_code: bool = False

    def __init__(self, settings):
        self.settings = settings

    def fit(self, texts, labels, context):
        print("trained in", os.getpid())
        self.rates = (labels.mean(axis=0) / 2 + 0.25).tolist()
        return self

    def predict_proba(self, texts):
        return np.tile(np.float32(self.rates), (len(texts), 1))

    def save(self, folder, *, whole):
        (folder / "rates.json").write_text(json.dumps(self.rates))
        return True

    def load(self, folder, context):
        print("loaded in", os.getpid())
        if self.settings.broken == "load":
            raise RuntimeError("the camel forgot")
        self.rates = json.loads((folder / "rates.json").read_text())
        if self.settings.broken == "one label":
            self.rates[context.labels.index("anger")] += 0.125
        if self.settings.broken == "nan":
            self.rates[context.labels.index("anger")] = float("nan")
        return self
"""


def write_recipe(workspace: Workspace, name: str, text: str) -> None:
    (workspace.recipes / f"{name}.toml").write_text(text, encoding="utf-8")


def write_rates(workspace: Workspace, broken: str = "") -> None:
    (workspace.root / "rates.py").write_text(RATES, encoding="utf-8")
    write_recipe(workspace, "rates", f'family = "rates.py:Rates"\n[settings]\nbroken = "{broken}"\n')


def miniature(architecture: str, adaptation: str) -> str:
    settings = 'epochs = 1\nbatch_size = 64\nmax_length = 16\nlearning_rate = 1e-3\nprecision = "float32"\n'
    family = 'family = "sequence_classifier"\n[settings]\n'
    return f'{family}checkpoint = "miniature:{architecture}"\nadaptation = "{adaptation}"\n{settings}'


def train_fold_0(competition: Competition, name: str, *, parity: bool = False, force: bool = False) -> None:
    recipes = choose_recipes(competition, [name])
    train(find_work(competition, recipes, [0], parity=parity, force=force), InlineExecutor())


def probabilities_of(competition: Competition, name: str, fold: int, texts: list[str]) -> NDArray[np.float32]:
    """What the kept model of a fold gives for the texts."""
    planned, recipe = with_plan(competition), load_recipe(competition.workspace, name)
    identity = {**planned.identity, **recipe.identity()}
    model = load_kept(competition.workspace, recipe, fold, competition.task, 1, identity)
    return model.predict_proba(texts)


def held_out(competition: Competition, fold: int) -> list[str]:
    return [competition.train_texts[row] for row in with_plan(competition).plan.rows(fold)]


def part_of(competition: Competition, name: str, fold: int) -> store.Predictions:
    planned = with_plan(competition)
    return store.read_part(competition.workspace.base_model(name).part(fold), planned.plan, competition.shape)


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("recipe", [LINEAR, FFNN], ids=["linear", "ffnn"])
def test_every_fold_can_be_predicted_with_again(workspace: Workspace, recipe: str) -> None:
    write_recipe(workspace, "kept_model", recipe)
    competition = load_competition(workspace)
    train(find_work(competition, choose_recipes(competition, ["kept_model"]), parity=False), InlineExecutor())
    folder = workspace.oof / "kept_model" / "kept"
    assert sorted(path.name for path in folder.iterdir()) == ["fold_0", "fold_1", "fold_2"]
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".safetensors", ".json"}
    for fold in range(3):
        again = probabilities_of(competition, "kept_model", fold, held_out(competition, fold))
        np.testing.assert_allclose(again, part_of(competition, "kept_model", fold).oof, atol=1e-6)
        assert again.std() > 0


def test_a_family_that_cannot_be_written_down_trains_and_leaves_nothing(competition: Competition) -> None:
    train_fold_0(competition, "words", parity=True)
    assert part_of(competition, "words", 0).oof.shape == (80, 3)
    assert not competition.workspace.base_model("words").kept(0).exists()
    with pytest.raises(StoreError, match="the family of words has no `save` and `load`"):
        probabilities_of(competition, "words", 0, ["happy"])


def test_what_was_kept_has_passed_its_check_in_a_fresh_process(workspace: Workspace) -> None:
    write_rates(workspace)
    competition = load_competition(workspace)
    recipes = choose_recipes(competition, ["rates"])
    train(find_work(competition, recipes, [0]), LocalExecutor(1, 1))
    assert files_in(workspace.base_model("rates").kept(0)) == {"kept.json", "rates.json"}
    told = (workspace.oof / "rates" / "logs" / "fold_0.log").read_text(encoding="utf-8").splitlines()
    assert [line.split()[0] for line in told] == ["trained", "loaded"]
    assert told[0].split()[-1] != told[1].split()[-1], "the check ran in the process that had trained"
    assert model_of(competition, "rates") is State.MISSING  # two folds are still to do


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (
            "one label",
            r"rates fold 0: ParityError: the saved model, loaded again, .*: anger 0\.\d+, then 0\.\d+\. Its prob",
        ),
        ("nan", r"ParityError: the saved model, loaded again, gives other predictions: anger 0\.\d+, then nan"),
        ("load", r"ParityError: the saved model cannot be loaded again: RuntimeError: the camel forgot"),
    ],
)
def test_a_model_that_is_read_wrongly_is_not_kept_but_its_probabilities_are(
    workspace: Workspace, broken: str, said: str
) -> None:
    write_rates(workspace, broken)
    competition = load_competition(workspace)
    with pytest.raises(JobsFailedError, match=said):
        train_fold_0(competition, "rates", parity=True)
    assert part_of(competition, "rates", 0).oof.shape == (80, 3)
    assert files_in(workspace.base_model("rates").kept(0)) == {"kept.json"}
    with pytest.raises(StoreError, match="fold 0 of rates was not kept: the saved model"):
        probabilities_of(competition, "rates", 0, ["happy"])
    work = find_work(competition, choose_recipes(competition, ["rates"]), [0])
    assert work.jobs == []  # its part is whole, and there is nothing to check
    assert "rates fold 0 is trained and was not kept (the saved model" in "\n".join(work.notices)
    train_fold_0(competition, "rates", parity=False, force=True)  # --no-parity
    assert workspace.base_model("rates").kept(0).is_dir()


def test_a_run_that_was_killed_before_the_check_is_checked_by_the_next_one(workspace: Workspace) -> None:
    write_rates(workspace)
    competition = load_competition(workspace)
    recipes = choose_recipes(competition, ["rates"])
    work = find_work(competition, recipes)
    list(InlineExecutor().run([replace(job, afterwards=None) for job in work.jobs]))  # trained, not checked
    with pytest.raises(StoreError, match=r"has not been checked, .*`compete train-base rates` does that"):
        probabilities_of(competition, "rates", 1, ["happy"])
    parts = {path: path.read_bytes() for path in (workspace.oof / "rates").glob("fold_*/*")}
    again = find_work(competition, recipes)
    assert [job.target for job in again.jobs] == ["compete.oof.kept:run_check"] * 3
    assert find_work(competition, recipes, parity=False).jobs == []
    train(again, InlineExecutor())
    assert {path: path.read_bytes() for path in (workspace.oof / "rates").glob("fold_*/*")} == parts
    assert probabilities_of(competition, "rates", 1, ["happy"]).shape == (1, 3)
    assert find_work(competition, recipes).jobs == []


def test_a_model_whose_code_is_no_longer_allowed_is_neither_checked_nor_used(workspace: Workspace) -> None:
    write_rates(workspace)
    edit(workspace.recipes / "rates.toml", "[settings]\n", "[settings]\nremote_code = true\n")
    edit(workspace.declaration, "[submission]", '[training]\nremote_code = ["rates"]\n\n[submission]')
    competition = load_competition(workspace)
    jobs = find_work(competition, choose_recipes(competition, ["rates"])).jobs
    list(InlineExecutor().run([replace(job, afterwards=None) for job in jobs]))  # trained, not checked
    edit(workspace.declaration, 'remote_code = ["rates"]', "remote_code = []")
    refused = r"runs Python code from its own repository.*remote_code = \['rates'\]"
    with pytest.raises(UserError, match=refused):
        find_work(competition, choose_recipes(competition, ["rates"]))
    edit(workspace.declaration, "remote_code = []", 'remote_code = ["rates"]')
    train(find_work(competition, choose_recipes(competition, ["rates"])), InlineExecutor())
    assert probabilities_of(competition, "rates", 0, ["happy"]).shape == (1, 3)
    edit(workspace.declaration, 'remote_code = ["rates"]', "remote_code = []")
    with pytest.raises(UserError, match=refused):
        probabilities_of(competition, "rates", 0, ["happy"])


def test_what_cannot_be_kept_costs_no_trained_fold(workspace: Workspace) -> None:
    write_rates(workspace)
    edit(
        workspace.root / "rates.py",
        '(folder / "rates.json").write',
        "raise OSError('the camel is full')\n        (folder / \"rates.json\").write",
    )
    competition = load_competition(workspace)
    with pytest.raises(JobsFailedError, match="the camel is full"):
        train_fold_0(competition, "rates", parity=True)
    assert part_of(competition, "rates", 0).oof.shape == (80, 3)
    with pytest.raises(StoreError, match="fold 0 of rates was not kept: OSError: the camel is full"):
        probabilities_of(competition, "rates", 0, ["happy"])


@pytest.mark.parametrize("moment", ["before it is written down", "while it is written down"])
def test_a_run_that_is_killed_once_a_fold_is_trained_loses_no_fold(workspace: Workspace, moment: str) -> None:
    write_rates(workspace)
    kill = "os.kill(os.getpid(), 9)"
    if moment == "while it is written down":
        edit(workspace.root / "rates.py", "return True", kill)
    else:
        edit(workspace.root / "rates.py", '(folder / "rates.json").write', f'{kill}; (folder / "rates.json").write')
    competition = load_competition(workspace)
    recipes = choose_recipes(competition, ["rates"])
    with pytest.raises(JobsFailedError, match="SIGKILL"):
        train(find_work(competition, recipes, [0]), LocalExecutor(1, 1))
    assert part_of(competition, "rates", 0).oof.shape == (80, 3)
    work = find_work(competition, recipes, [0])
    assert work.jobs == []
    assert any("rates fold 0 is trained and was not kept (the run was ended" in notice for notice in work.notices)
    with pytest.raises(StoreError, match="fold 0 of rates was not kept: the run was ended while it was written down"):
        probabilities_of(competition, "rates", 0, ["happy"])


@pytest.mark.parametrize(
    "error", ["RuntimeError('CUDA error: out of memory')", "MemoryError()", "OSError(28, 'No space left on device')"]
)
def test_a_check_that_had_no_room_says_nothing_of_the_model(workspace: Workspace, error: str) -> None:
    write_rates(workspace)
    marker = workspace.root / "is_full"
    marker.touch()
    refuse = f'if os.path.exists("{marker}"): raise {error}\n        print("loaded in"'
    edit(workspace.root / "rates.py", 'print("loaded in"', refuse)
    competition = load_competition(workspace)
    with pytest.raises(JobsFailedError, match="UncheckedError: the saved model could not be checked"):
        train_fold_0(competition, "rates", parity=True)
    marker.unlink()
    train_fold_0(competition, "rates", parity=True)  # the check alone
    assert probabilities_of(competition, "rates", 0, ["happy"]).shape == (1, 3)


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("share", [0.9, 1.1])
@pytest.mark.parametrize("what", ["one probability", "all probabilities"])
def test_how_far_probabilities_may_lie_depends_on_their_precision(
    workspace: Workspace, precision: str, share: float, what: str
) -> None:
    write_rates(workspace)
    code, allowed = workspace.root / "rates.py", TOLERANCES[precision]
    edit(code, "        self.settings = settings", f"        self.settings, self.precision = settings, {precision!r}")
    # Of `what`, as much as `share` of what is allowed, once the model has been read again.
    off = f"values[0, 0] += {share * allowed.most}" if what[0] == "o" else f"values += {share * allowed.mean}"
    edit(code, "return np.tile(np.float32(self.rates)", "values = np.tile(np.float32(self.rates)")
    edit(code, "(len(texts), 1))", f"(len(texts), 1))\n        if self.again: {off}\n        return values")
    edit(code, "        self.rates = (labels", "        self.again = False\n        self.rates = (labels")
    edit(code, '        print("loaded in"', '        self.again = True\n        print("loaded in"')
    competition = load_competition(workspace)
    if share < 1:
        train_fold_0(competition, "rates", parity=True)
        return
    with pytest.raises(JobsFailedError, match="ParityError: the saved model, loaded again, gives other predictions"):
        train_fold_0(competition, "rates", parity=True)


def test_probabilities_of_a_gpu_are_compared_as_such_on_a_machine_without(workspace: Workspace) -> None:
    write_rates(workspace)
    code = workspace.root / "rates.py"
    edit(code, "        self.settings = settings", "        self.settings, self.precision = settings, 'bfloat16'")
    off = f"values[0, 0] += {0.9 * TOLERANCES['bfloat16'].most}"
    edit(code, "return np.tile(np.float32(self.rates)", "values = np.tile(np.float32(self.rates)")
    edit(code, "(len(texts), 1))", f"(len(texts), 1))\n        if self.again: {off}\n        return values")
    edit(code, "        self.rates = (labels", "        self.again = False\n        self.rates = (labels")
    edit(
        code,
        '        print("loaded in"',
        "        self.again, self.precision = True, 'float32'\n        print(\"loaded in\"",
    )
    train_fold_0(load_competition(workspace), "rates", parity=True)


def test_one_folds_model_is_gone_before_the_next_is_opened(workspace: Workspace) -> None:
    write_rates(workspace)
    edit(workspace.root / "rates.py", "class Rates:", "ALIVE = []\n\n\nclass Rates:")
    edit(
        workspace.root / "rates.py",
        '        print("loaded in"',
        "        import weakref\n        ALIVE.append(weakref.ref(self))\n"
        '        assert sum(each() is not None for each in ALIVE) == 1\n        print("loaded in"',
    )
    competition = load_competition(workspace)
    train(find_work(competition, choose_recipes(competition, ["rates"]), parity=False), InlineExecutor())
    assert predict_base_model(with_plan(competition), "rates", ["happy"], 1).shape == (1, 3)


@pytest.fixture
def _no_garbage_is_collected_by_chance() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_garbage_is_collected_by_chance")
def test_what_was_trained_on_a_gpu_is_gone_before_it_is_opened_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models of transformers refer to themselves: only a collection takes them off the GPU."""
    monkeypatch.setattr("compete.oof.kept.uses_gpu", lambda: True)
    write_rates(workspace)
    code = workspace.root / "rates.py"
    edit(code, "        self.rates = (labels", "        self.itself = self\n        self.rates = (labels")
    edit(
        code,
        '        print("loaded in"',
        "        import gc\n"
        '        left = [each for each in gc.get_objects() if type(each).__name__ == "Rates"]\n'
        '        assert not [each for each in left if "itself" in vars(each)], "the trained model is still there"\n'
        '        print("loaded in"',
    )
    train_fold_0(load_competition(workspace), "rates", parity=True)


def model_of(competition: Competition, name: str) -> State:
    planned, recipe = with_plan(competition), load_recipe(competition.workspace, name)
    return model_state(competition.workspace, name, recipe, planned.identity, planned.plan.k).state


def test_a_run_killed_between_the_kept_model_and_its_part_has_trained_nothing(workspace: Workspace) -> None:
    write_rates(workspace)
    competition = load_competition(workspace)
    train_fold_0(competition, "rates")
    for path in (workspace.oof / "rates" / "fold_0").iterdir():
        path.unlink()
    (workspace.oof / "rates" / "fold_0").rmdir()
    assert workspace.base_model("rates").kept(0).is_dir()
    assert stored_models(workspace) == []
    assert model_of(competition, "rates") is State.MISSING
    work = find_work(competition, choose_recipes(competition, ["rates"]))
    assert [job.name for job in work.jobs] == ["rates fold 0", "rates fold 1", "rates fold 2"]


def test_a_model_of_an_edited_recipe_is_refused_with_the_remedy(workspace: Workspace) -> None:
    write_rates(workspace)
    competition = load_competition(workspace)
    train(find_work(competition, choose_recipes(competition, ["rates"]), parity=False), InlineExecutor())
    texts = ["happy", "rotten"]
    assert predict_base_model(with_plan(competition), "rates", texts, 1).shape == (2, 3)
    recipe = workspace.recipes / "rates.toml"
    recipe.write_text("seed = 5\n" + recipe.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(StoreError, match=r"kept/fold_0 is of another training .*`compete train-base rates --force`"):
        probabilities_of(competition, "rates", 0, texts)
    with pytest.raises(StoreError, match=r"rates is stale: seed: 42 -> 5; `compete train-base rates` trains it"):
        predict_base_model(with_plan(competition), "rates", texts, 1)


def test_a_torn_record_is_said(workspace: Workspace) -> None:
    write_rates(workspace)
    competition = load_competition(workspace)
    train_fold_0(competition, "rates")
    (workspace.base_model("rates").kept(0) / "kept.json").write_text('{"model": ', encoding="utf-8")
    with pytest.raises(StoreError, match=r"kept/fold_0/kept\.json is damaged; `compete train-base rates --force`"):
        probabilities_of(competition, "rates", 0, ["happy"])


@pytest.mark.parametrize("name", ["rates.json", "kept.json"])
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_flipped_byte_of_what_was_kept_is_refused_by_name(workspace: Workspace, name: str, place: float) -> None:
    write_rates(workspace)
    competition = load_competition(workspace)
    train_fold_0(competition, "rates")
    path = workspace.base_model("rates").kept(0) / name
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=rf"kept/fold_0/{name} is .*`compete train-base rates --force`"):
        probabilities_of(competition, "rates", 0, ["happy"])


@pytest.mark.parametrize(("adaptation", "expected"), [("full", []), ("lora", ["tuned"])])
def test_what_is_not_to_stay_is_not_missed_either(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, adaptation: str, expected: list[str]
) -> None:
    """A run that is killed behind the part says that a model was not kept, if it was to be."""
    begun: list[str] = []
    monkeypatch.setattr("compete.oof.job.begin", lambda workspace, model, fold, record: begun.append(model))
    write_recipe(workspace, "tuned", miniature("distilbert", adaptation))
    train_fold_0(load_competition(workspace), "tuned")
    assert begun == expected


def test_a_whole_fine_tuned_model_is_kept_when_it_is_asked_for(workspace: Workspace) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    write_recipe(workspace, "tuned", miniature("distilbert", "full"))
    competition = load_competition(workspace)
    train_fold_0(competition, "tuned")
    folder = workspace.base_model("tuned").kept(0)
    assert not folder.exists()
    with pytest.raises(StoreError, match=r"keep_weights = true under \[training\] in competition\.toml"):
        probabilities_of(competition, "tuned", 0, ["happy"])
    edit(workspace.declaration, "[submission]", "[training]\nkeep_weights = true\n\n[submission]")
    asked = load_competition(workspace)
    before = part_of(asked, "tuned", 0)  # to keep weights is no other training: what is there stays fresh
    train_fold_0(asked, "tuned", force=True)
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".safetensors", ".json"}
    texts = held_out(asked, 0)
    np.testing.assert_allclose(probabilities_of(asked, "tuned", 0, texts), before.oof, atol=1e-5)
    # Without compete, as anybody would load it:
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    batch = AutoTokenizer.from_pretrained(folder)(texts[:1], return_tensors="pt", truncation=True, max_length=16)
    alone = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.sigmoid()
    np.testing.assert_allclose(alone.detach().numpy(), before.oof[:1], atol=1e-5)


def test_adapters_are_kept_with_the_miniature_they_lie_on(workspace: Workspace) -> None:
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    write_recipe(workspace, "adapted", miniature("roberta", "lora"))
    competition = load_competition(workspace)
    train_fold_0(competition, "adapted")
    folder = workspace.base_model("adapted").kept(0)
    assert {"kept.json", "adapter_model.safetensors", "adapter_config.json"} <= files_in(folder)
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= {".safetensors", ".json", ".md"}
    texts, expected = held_out(competition, 0), part_of(competition, "adapted", 0).oof
    np.testing.assert_allclose(probabilities_of(competition, "adapted", 0, texts), expected, atol=1e-5)
    base = AutoModelForSequenceClassification.from_pretrained(
        folder / "miniature", num_labels=3, problem_type="multi_label_classification"
    )
    model = PeftModel.from_pretrained(base, str(folder)).eval()
    batch = AutoTokenizer.from_pretrained(folder)(texts[:1], return_tensors="pt", truncation=True, max_length=16)
    alone = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.sigmoid()
    np.testing.assert_allclose(alone.detach().numpy(), expected[:1], atol=1e-5)
    assert json.loads((folder / "kept.json").read_text(encoding="utf-8"))["fold"] == 0


def test_a_check_comes_after_every_training_unless_it_is_declined(workspace: Workspace) -> None:
    competition = load_competition(workspace)
    identity = with_plan(competition).identity
    recipe = load_recipe(workspace, "words")
    assert make_job(workspace, recipe, 0, identity, 1).afterwards == check_job(workspace, recipe, 0, 1)
    assert make_job(workspace, recipe, 0, identity, 1, parity=False).afterwards is None


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
