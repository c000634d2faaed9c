"""Out-of-fold rows are predicted by models that never saw them, whatever the family tries."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from compete.base_models.families import FitContext
from compete.base_models.recipes import load_recipe
from compete.competition.data import load_competition
from compete.competition.near_identical import near_identical_key
from compete.competition.workspace import Workspace
from compete.oof.fold_plan import with_plan
from compete.stacking.scoring import evaluate_as_it_is
from support.one_model import train_model

# Remembers every training text with its labels and looks texts up again: perfect on any row it has seen.
MEMORISER = """
import re

import numpy as np
from pydantic import BaseModel


class Memoriser:
    version = 1

    class Settings(BaseModel):
        pass

    def __init__(self, settings):
        pass

    def fit(self, texts, labels, context):
        self.memory = {self.key(text): row.astype(np.float32) for text, row in zip(texts, labels)}
        self.rate = labels.mean(axis=0)
        return self

    def predict_proba(self, texts):
        return np.array([self.memory.get(self.key(text), self.rate) for text in texts], dtype=np.float32)

    def key(self, text):
        return " ".join(re.sub(r"@\\\\w+|https?://\\\\S+", " ", text).lower().split())
"""

# Writes down everything it is handed, so that a test can look for rows that it should not have got.
WITNESS = """
import json
import pathlib

import numpy as np
from pydantic import BaseModel


class Witness:
    version = 1

    class Settings(BaseModel):
        diary: str

    def __init__(self, settings):
        self.diary = pathlib.Path(settings.diary)

    def fit(self, texts, labels, context):
        self.seen = {"fit": list(texts), "labels": labels.tolist(), "context": sorted(vars(context)), "predict": []}
        return self

    def predict_proba(self, texts):
        self.seen["predict"].append(list(texts))
        number = len(list(self.diary.glob("*.json"))) if len(self.seen["predict"]) == 1 else self.number
        self.number = number
        (self.diary / f"{number}.json").write_text(json.dumps(self.seen))
        return np.full((len(texts), len(self.seen["labels"][0])), 0.5)
"""


def _add_family(workspace: Workspace, name: str, source: str, settings: str = "") -> None:
    (workspace.root / f"{name}.py").write_text(source, encoding="utf-8")
    recipe = f'family = "{name}.py:{name.capitalize()}"\n[settings]\n{settings}\n'
    (workspace.recipes / f"{name}.toml").write_text(recipe, encoding="utf-8")


def _add_near_duplicates(workspace: Workspace) -> None:
    """Every row of train once more: other case, another mention, another link, other white space."""
    path = workspace.root / "train.csv"
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    copies = []
    for number, row in enumerate(rows):
        name, text, labels = row.split(",", 2)
        copies.append(f"{name}x,@someone{number}  {text.upper()} https://example.com/{number},{labels}")
    path.write_text("\n".join([header, *rows, *copies]) + "\n", encoding="utf-8")


def test_a_family_that_memorises_its_training_rows_gains_nothing(workspace: Workspace) -> None:
    _add_near_duplicates(workspace)
    _add_family(workspace, "memoriser", MEMORISER)
    competition = load_competition(workspace)
    oof = train_model(competition, "memoriser").oof
    # With any of its own rows, or of their near-identical copies, in training, probabilities would be 0 or 1.
    assert not np.isin(oof, (0.0, 1.0)).any()
    planned = with_plan(competition)
    f1 = evaluate_as_it_is(planned, oof).honest
    rate = competition.train_targets.mean(axis=0)
    assert f1 <= np.mean(2 * rate / (1 + rate)) + 1e-9  # no better than predicting every label everywhere


def test_the_memoriser_would_be_perfect_if_it_were_given_its_own_fold(workspace: Workspace) -> None:
    """The control of the test above: the family does leak where leaking is possible."""
    _add_family(workspace, "memoriser", MEMORISER)
    competition = load_competition(workspace)
    family = load_recipe(workspace, "memoriser").build()
    model = family.fit(competition.train_texts, competition.train_targets, FitContext(competition.labels, seed=0))
    assert np.array_equal(model.predict_proba(competition.train_texts), competition.train_targets)


def test_a_family_is_handed_the_other_folds_and_nothing_else(workspace: Workspace, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    diary.mkdir()
    _add_near_duplicates(workspace)
    _add_family(workspace, "witness", WITNESS, f'diary = "{diary.as_posix()}"')
    competition = load_competition(workspace)
    train_model(competition, "witness")
    planned = with_plan(competition)
    for fold in range(planned.plan.k):
        seen = json.loads((diary / f"{fold}.json").read_text())
        others, held_out = planned.plan.other_rows(fold), planned.plan.rows(fold)
        assert seen["fit"] == [competition.train_texts[row] for row in others]
        assert seen["labels"] == competition.train_targets[others].tolist()
        assert seen["predict"] == [[competition.train_texts[row] for row in held_out], competition.test_texts]
        keys = {near_identical_key(text) for text in seen["fit"]}
        assert not keys & {near_identical_key(competition.train_texts[row]) for row in held_out}
        assert seen["context"] == [
            "cache",
            "curves",
            "facts",
            "features",
            "grades",
            "labels",
            "progress",
            "seed",
            "soft",
            "state",
            "state_every",
            "task",
            "threads",
            "tracked",
            "warnings",
        ]
