"""What a fold that trained without an error is warned of, and where the user reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.base_models.recipes import load_recipe
from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.execution.inline import InlineExecutor
from compete.oof.fold_plan import with_plan
from compete.oof.guards import FoldWarning, warnings_of
from compete.oof.job import fold_seed
from compete.oof.state import model_state
from compete.oof.work import choose_recipes, find_work, train
from support.in_process import Run, in_process

Curve = list[tuple[float, float]]  # training and validation loss of every epoch

LABELS = ("joy", "anger", "trust")
FINE = np.array([[0.1, 0.9, 0.6], [0.7, 0.2, 0.1], [0.4, 0.5, 0.3]], dtype=np.float32)
PARTING = "training and validation loss part: the best epoch was kept, fewer epochs would do"
NOT_FINITE = "the loss on the validation rows is not finite"
BETTER: Curve = [(0.7, 0.6), (0.5, 0.5), (0.4, 0.45)]
WORSE: Curve = [(0.7, 0.6), (0.5, 0.5), (0.2, 0.8)]

# Joy is always the same, trust never reaches a half, the validation loss goes wrong; one fold has bad luck besides.
DULL = """
import numpy as np
from pydantic import BaseModel


class Dull:
    version = 1

    class Settings(BaseModel):
        pass

    def __init__(self, settings):
        pass

    def fit(self, texts, labels, context):
        if context.seed == {unlucky}:
            context.warnings.append("out of luck")
        context.curves.append({{"epoch": 1, "train_loss": 0.5, "validation_loss": 0.5}})
        context.curves.append({{"epoch": 2, "train_loss": 0.1, "validation_loss": 0.9}})
        return self

    def predict_proba(self, texts):
        spread = np.linspace(0.01, 0.99, len(texts))
        return np.stack([np.full(len(texts), 0.7), spread, spread * 0.4], axis=1)
"""


def curves(epochs: Curve, **more: float) -> list[dict[str, float]]:
    """Rows as a family appends them."""
    return [
        {**more, "epoch": number, "train_loss": train_loss, "validation_loss": validation_loss}
        for number, (train_loss, validation_loss) in enumerate(epochs, start=1)
    ]


def with_column(column: int, values: list[float]) -> NDArray[np.float32]:
    changed = FINE.copy()
    changed[:, column] = values
    return changed


def said_of(held_out: NDArray[np.float32], labels: Sequence[str], rows: Sequence[Mapping[str, float]]) -> list[str]:
    return [str(warning) for warning in warnings_of(held_out, labels, rows)]


def test_nothing_is_said_of_a_healthy_fold() -> None:
    assert said_of(FINE, LABELS, curves(BETTER)) == []
    assert said_of(FINE, LABELS, []) == []
    assert said_of(FINE, LABELS, [{"epoch": 1, "words": 400}]) == []  # a family's own curves, without losses


def test_a_constant_column_is_named_and_not_named_twice() -> None:
    held_out = with_column(1, [0.2, 0.2, 0.2 + 1e-7])
    assert said_of(held_out, LABELS, []) == ["the same probability in every row: anger"]


@pytest.mark.parametrize(("highest", "is_never"), [(0.499, True), (0.5, False), (0.6, False)])
def test_a_label_without_a_probability_of_a_half_is_never_predicted(highest: float, is_never: bool) -> None:
    found = said_of(with_column(2, [0.1, highest, 0.3]), LABELS, [])
    assert found == (["never predicted, no probability reaches 0.5: trust"] if is_never else [])


def test_several_labels_are_named_in_their_order() -> None:
    held_out = np.array([[0.3, 0.1, 0.2], [0.3, 0.2, 0.1]], dtype=np.float32)
    assert said_of(held_out, LABELS, []) == [
        "the same probability in every row: joy",
        "never predicted, no probability reaches 0.5: anger",
        "never predicted, no probability reaches 0.5: trust",
    ]


@pytest.mark.parametrize("rows", [0, 1])
def test_of_a_single_row_nothing_can_be_said(rows: int) -> None:
    assert said_of(np.full((rows, 3), 0.1, dtype=np.float32), LABELS, []) == []


@pytest.mark.parametrize(
    ("epochs", "said"),
    [
        (WORSE, [PARTING]),
        ([(0.7, 0.5), (0.5, 0.54)], []),  # worse, though not by much
        ([(0.5, 0.5), (0.6, 0.9)], []),  # both got worse: that is another trouble
        ([(0.1, 9.0)], []),  # a single epoch has nothing to part from
        ([(0.7, 0.6), (0.5, 0.9), (0.3, 0.55)], []),  # it recovered
    ],
)
def test_curves_part_when_only_the_training_loss_goes_on_falling(epochs: Curve, said: list[str]) -> None:
    assert said_of(FINE, LABELS, curves(epochs)) == said


def test_members_are_judged_apart() -> None:
    """End to end, two good runs would look like one that got worse: the second begins with high losses again."""
    healthy = curves(BETTER, member=1) + curves([(0.3, 0.9), (0.25, 0.7)], member=2)
    assert said_of(FINE, LABELS, healthy) == []
    both = curves(WORSE, member=1) + curves(BETTER, member=2) + curves(WORSE, member=3)
    assert said_of(FINE, LABELS, both) == [PARTING]  # said once, however many members it is true of


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_an_validation_loss_that_is_not_finite(loss: float) -> None:
    assert said_of(FINE, LABELS, curves([(0.7, 0.6), (0.5, loss), (0.2, 0.8)])) == [NOT_FINITE]
    members = curves([(0.7, loss)], member=1) + curves(WORSE, member=2)
    assert said_of(FINE, LABELS, members) == [NOT_FINITE, PARTING]


def add_dull(workspace: Workspace, unlucky: int = -1) -> None:
    (workspace.root / "dull.py").write_text(DULL.format(unlucky=unlucky), encoding="utf-8")
    (workspace.recipes / "dull.toml").write_text('family = "dull.py:Dull"\n', encoding="utf-8")


def test_warnings_lie_in_the_part_and_are_grouped_by_fold(workspace: Workspace) -> None:
    competition = load_competition(workspace)
    planned = with_plan(competition)
    add_dull(workspace, unlucky=fold_seed(42, 1))
    train(find_work(competition, choose_recipes(competition, ["dull"])), InlineExecutor())
    of_all = [
        "the same probability in every row: joy",
        "never predicted, no probability reaches 0.5: trust",
        PARTING,
    ]
    for fold in range(planned.plan.k):
        part = json.loads((workspace.oof / "dull" / f"fold_{fold}" / "part.json").read_text(encoding="utf-8"))
        said = [str(FoldWarning.read(warning)) for warning in part["warnings"]]
        assert said == (["out of luck"] if fold == 1 else []) + of_all
    state = model_state(workspace, "dull", load_recipe(workspace, "dull"), planned.identity, planned.plan.k)
    found = {str(warning): folds for warning, folds in state.warnings.items()}
    assert found == {**{warning: [0, 1, 2] for warning in of_all}, "out of luck": [1]}


@pytest.fixture
def compete(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(workspace.root, monkeypatch, capsys)


def test_train_base_prints_them_by_model_label_and_fold(workspace: Workspace, compete: Run) -> None:
    add_dull(workspace, unlucky=fold_seed(42, 1))
    ran = compete("train-base", "dull", "--workers", "0")
    assert ran.code == 0, ran.stderr
    assert [line for line in ran.stderr.splitlines() if line.startswith("warning: ")] == [
        "warning: dull: the same probability in every row: joy",
        "warning: dull: never predicted, no probability reaches 0.5: trust",
        f"warning: dull: {PARTING}",
        "warning: dull: out of luck (fold 1)",
    ]


@pytest.mark.parametrize("unit", [1e-7, 1.0, 1e7])
def test_numbers_are_constant_on_their_own_scale(unit: float) -> None:
    numbers = (unit * np.array([[1.0, 1.0], [1.0 + 2e-7, 1.01], [1.0, 0.99]])).astype(np.float32)
    (warning,) = warnings_of(numbers, ("still", "moving"), [], "numbers")
    assert str(warning) == "the same number in every row: still"
    (warning,) = warnings_of(np.zeros((3, 1), dtype=np.float32), ("zero",), [], "numbers")
    assert warning.label == "zero"
