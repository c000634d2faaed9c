"""What a base model is worth: copies are worth nothing, the only good one everything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.competition.metrics import METRICS, Labels, Metric
from compete.competition.workspace import ResultFolder
from compete.stacking.comparison import Comparison
from compete.stacking.ensemble.evaluation import Evaluation, evaluate
from compete.stacking.fitting import Materials, Workbench
from compete.stacking.leave_one_out import (
    Contribution,
    error_correlation,
    keep_contributions,
    kept_contributions,
    leave_one_out,
)
from compete.stacking.stack_recipes import StackDeclaration, StackRecipe

pytestmark = pytest.mark.slow

ROWS = 500
F1 = METRICS["f1_macro"]


def make_labels() -> Labels:
    return (np.random.default_rng(0).random((ROWS, 3)) < (0.5, 0.3, 0.2)).astype(np.int8)


def make_models(labels: Labels, signal: Sequence[float]) -> NDArray[np.float32]:
    random = np.random.default_rng(1)
    z = [s * (labels - 0.5) + random.normal(size=labels.shape) for s in signal]
    return (1 / (1 + np.exp(-np.array(z)))).astype(np.float32)


def worth_of(
    models: NDArray[np.float32], labels: Labels, metric: Metric = F1, **declared: Any
) -> tuple[Evaluation, list[Contribution]]:
    declared = {"method": "logistic", "C": 0.1, **declared}
    recipes = {"stack": StackRecipe("stack", StackDeclaration.model_validate(declared))}
    plan = (np.arange(ROWS) % 4).astype(np.int16)
    oof = {f"m{number}": model for number, model in enumerate(models)}
    bench = Workbench(Materials(oof, labels, [plan, np.roll(plan, 1)]), recipes, metric)
    naive = bench.fitted("stack").predict_proba(oof)
    whole = evaluate(metric, labels, bench.cross_fits("stack"), naive)
    return whole, leave_one_out(bench, "stack", whole.honest, whole.draws)


@pytest.mark.parametrize("metric", [F1, METRICS["f1_samples"], METRICS["log_loss"]], ids=lambda metric: metric.name)
def test_the_only_good_model_is_worth_most(metric: Metric) -> None:
    labels = make_labels()
    whole, found = worth_of(make_models(labels, (0.0, 2.5, 0.3)), labels, metric)
    assert [worth.gain for worth in found] == sorted((worth.gain for worth in found), reverse=True)
    best = found[0]
    assert best.model == "m1"
    assert best.significant and best.low > 0.1
    assert best.low < best.gain < best.high
    sign = 1 if metric.greater_is_better else -1
    assert best.gain == pytest.approx(sign * (whole.honest - best.without))
    assert {worth.model for worth in found} == {"m0", "m1", "m2"}
    useless = next(worth for worth in found if worth.model == "m0")
    assert not useless.significant and abs(useless.gain) < 0.03


@pytest.mark.parametrize("method", ["mean", "blend", "logistic"])
def test_a_copy_is_worth_nothing_as_long_as_the_other_is_there(method: str) -> None:
    labels = make_labels()
    model = make_models(labels, (2.0,))[0]
    options: dict[str, Any] = {"C": 1.0} if method == "logistic" else {}
    _, found = worth_of(np.stack([model, model]), labels, method=method, **options)
    for worth in found:
        assert abs(worth.gain) < 0.01
        assert not worth.significant


def test_what_is_left_out_is_really_out() -> None:
    labels = make_labels()
    models = make_models(labels, (1.0, 2.0))
    _, found = worth_of(models, labels, method="mean")
    _, alone = worth_of(models[[1, 1]], labels, method="mean")
    without_first = next(worth for worth in found if worth.model == "m0").without
    assert without_first == pytest.approx(alone[0].without)


def test_progress_names_every_model_once() -> None:
    labels = make_labels()
    models = make_models(labels, (1.0, 2.0, 1.5))
    oof = {f"m{number}": model for number, model in enumerate(models)}
    plan = (np.arange(ROWS) % 3).astype(np.int16)
    recipe = StackRecipe("mean", StackDeclaration.model_validate({"method": "mean", "models": ["m2", "m0"]}))
    bench = Workbench(Materials(oof, labels, [plan]), {"mean": recipe}, F1)
    whole = evaluate(F1, labels, bench.cross_fits("mean"), models[[0, 2]].mean(axis=0))
    doing: list[str] = []
    found = leave_one_out(bench, "mean", whole.honest, whole.draws, lambda fraction, what: doing.append(what))
    assert doing == ["without m0", "without m2"]  # what the stack does not use, it need not do without
    assert {worth.model for worth in found} == {"m0", "m2"}


def test_error_correlation_is_the_mean_over_labels_of_the_usual_one() -> None:
    labels = make_labels()
    models = make_models(labels, (0.5, 1.0, 2.0))
    models[2] = 0.5 * models[2] + 0.5 * models[0]
    expected = np.mean([np.corrcoef(labels[:, i] - models[:, :, i]) for i in range(3)], axis=0)
    found = error_correlation(models, labels)
    assert found == pytest.approx(expected, abs=1e-6)
    assert found[0, 2] > found[0, 1] + 0.05  # the control: what shares its noise errs alike


def test_copies_err_alike_and_models_without_errors_with_nobody() -> None:
    labels = make_labels()
    model = make_models(labels, (1.0,))[0]
    perfect = labels.astype(np.float32)
    found = error_correlation(np.stack([model, model, perfect]), labels)
    assert found[0] == pytest.approx([1.0, 1.0, 0.0], abs=1e-6)
    assert np.isfinite(found).all()


FOUND = [Contribution("m0", 0.5, 0.1, 0.05, 0.15), Contribution("m1", 0.6, -0.01, -0.02, 0.0)]
OF_THIS = {"sha256": "this", "files": {}}


@pytest.fixture
def folder(tmp_path: Path) -> ResultFolder:
    return ResultFolder(tmp_path, "stack")


def test_what_was_found_is_kept_beside_its_stack(folder: ResultFolder) -> None:
    assert kept_contributions(folder, OF_THIS) is None
    keep_contributions(folder, OF_THIS, FOUND)
    assert list(folder.path.iterdir()) == [folder.leave_one_out]
    found = kept_contributions(folder, OF_THIS)
    assert found == FOUND
    assert [worth.significant for worth in found or []] == [True, False]
    keep_contributions(folder, OF_THIS, FOUND[:1])
    assert kept_contributions(folder, OF_THIS) == FOUND[:1]


def test_what_was_found_of_another_stack_is_not_shown(folder: ResultFolder) -> None:
    keep_contributions(folder, OF_THIS, FOUND)
    assert kept_contributions(folder, {"sha256": "built again"}) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        '{"of": "this"}',
        '{"of": "this", "contributions": [{"model": "m0"}]}',
        '{"of": "this", "contributions": 3}',
        '{"of": "this", "contributions": [{"model": "m0", "without": 1, "gain": 1, "low": 1, "high": 1, "more": 1}]}',
    ],
)
def test_a_torn_or_foreign_file_is_as_good_as_none(folder: ResultFolder, content: str) -> None:
    folder.leave_one_out.write_text(content, encoding="utf-8")
    assert kept_contributions(folder, OF_THIS) is None


def test_numbers_come_back_as_they_were(folder: ResultFolder) -> None:
    labels = make_labels()
    _, found = worth_of(make_models(labels, (1.0, 2.0)), labels, method="mean")
    keep_contributions(folder, OF_THIS, found)
    assert kept_contributions(folder, OF_THIS) == found
    json.loads(folder.leave_one_out.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("chosen", "contenders", "told"),
    [
        ("blend", ["mean", "blend", "lightgbm"], "blend"),
        ("lightgbm", ["mean", "blend", "lightgbm"], "blend"),
        ("second_level", ["mean", "lightgbm", "second_level"], "mean"),
        ("lightgbm", ["lightgbm"], "lightgbm"),  # named alone: it was asked for
        ("second_level", ["lightgbm", "second_level"], "second_level"),
    ],
)
def test_worth_is_told_of_the_best_stack_that_is_quick_to_fit(chosen: str, contenders: list[str], told: str) -> None:
    honest = {"mean": 0.5, "blend": 0.6, "lightgbm": 0.7, "second_level": 0.8}
    declared = {name: {"method": name} for name in honest} | {
        "second_level": {"method": "blend", "stacks": ["mean", "blend"]}
    }
    built: dict[str, Any] = {
        name: SimpleNamespace(
            recipe=StackRecipe(name, StackDeclaration.model_validate(declared[name])),
            honest=honest[name],
        )
        for name in contenders
    }
    found = Comparison(METRICS["f1_macro"], [*built.values()], [*built.values()], built[chosen], {}, {}, {}, {})
    assert found.told_by.recipe.name == told
