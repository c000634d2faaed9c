"""The stacker on plain arrays: scikit-learn's habits, and errors that say what is wrong with the arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from compete import stacking
from compete.competition.metrics import METRICS, Labels
from compete.errors import DataError, UserError
from compete.stacking import LeakWarning, MultilabelStacker, stacker
from compete.stacking.ensemble.decision_rules import rules_for
from compete.stacking.stack_recipes import StackDeclaration
from support.declared_metrics import DECLARED_METRICS

pytestmark = pytest.mark.slow

ROWS = 400


def make_labels(n_rows: int = ROWS, seed: int = 0) -> Labels:
    return (np.random.default_rng(seed).random((n_rows, 3)) < (0.5, 0.3, 0.2)).astype(np.int8)


def make_models(labels: Labels, signal: tuple[float, ...] = (1.0, 2.0, 1.5), seed: int = 1) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    z = [s * (labels - 0.5) + random.normal(size=labels.shape) for s in signal]
    return np.asarray(1 / (1 + np.exp(-np.array(z))))


FOLDS = np.arange(ROWS) % 4


@pytest.fixture(scope="module")
def fitted() -> MultilabelStacker:
    return MultilabelStacker(options={"C": 0.1}).fit(make_models(make_labels()), make_labels(), FOLDS)


def test_the_honest_score_is_what_new_rows_give(fitted: MultilabelStacker) -> None:
    fresh_labels = make_labels(4000, seed=5)
    decided = fitted.predict(make_models(fresh_labels, seed=6))
    score = METRICS["f1_macro"].compute(fresh_labels, decided)
    low, high = fitted.interval_
    assert low < fitted.honest_score_ < high
    assert abs(score - fitted.honest_score_) < high - low  # the interval knows nothing of other training rows
    assert fitted.naive_score_ > fitted.honest_score_ - 0.01


def test_shapes_and_values(fitted: MultilabelStacker) -> None:
    assert (fitted.n_models_, fitted.n_labels_) == (3, 3)
    assert fitted.oof_proba_.shape == (ROWS, 3)
    assert np.isfinite(fitted.oof_proba_).all()
    assert fitted.thresholds_ is not None and fitted.thresholds_.shape == (3,)
    fresh = make_models(make_labels(50, seed=5), seed=6)
    probabilities, decided = fitted.predict_proba(fresh), fitted.predict(fresh)
    assert probabilities.shape == decided.shape == (50, 3)
    assert decided.tolist() == (probabilities >= fitted.thresholds_).astype(int).tolist()
    assert fitted.predict(fresh[:, :1]).tolist() == decided[:1].tolist()


@pytest.mark.parametrize("n_rows", [50, 400, 100_000])
def test_the_expected_range_holds_the_honest_score_and_narrows_with_rows(
    fitted: MultilabelStacker, n_rows: int
) -> None:
    low, high = fitted.expected_range(n_rows)
    assert low < fitted.honest_score_ < high
    few_low, few_high = fitted.expected_range(20)
    assert high - low < few_high - few_low
    assert high - low >= 0.9 * (fitted.interval_[1] - fitted.interval_[0])  # what is known does not grow


@pytest.mark.parametrize("method", ["mean", "blend", "nelder_mead", "logistic", "ridge", "lightgbm"])
@pytest.mark.parametrize("calibration", ["none", "temperature"])
def test_every_method_beats_its_worst_model(method: Any, calibration: Any) -> None:
    labels = make_labels()
    models = make_models(labels, (0.3, 2.0))
    options = {"trees": {"max_trees": 20}} if method == "lightgbm" else None
    found = MultilabelStacker(method, calibration=calibration, options=options, repeats=1).fit(models, labels, FOLDS)
    alone = METRICS["f1_macro"].compute(labels, (models[0] >= 0.5).astype(np.int8))
    assert found.honest_score_ > alone + 0.05


@pytest.mark.parametrize("metric", DECLARED_METRICS)
def test_every_metric(metric: Any) -> None:
    labels = make_labels()
    found = MultilabelStacker("blend", metric, repeats=2).fit(make_models(labels), labels)
    low, high = found.interval_
    assert low < found.honest_score_ < high
    assert (found.thresholds_ is None) == (metric in ("f1_samples", "jaccard_samples"))
    fresh = make_models(make_labels(30, seed=5), seed=6)
    assert set(np.unique(found.predict(fresh)).tolist()) <= {0, 1}


def test_a_clone_has_the_same_parameters_and_nothing_learnt(fitted: MultilabelStacker) -> None:
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert set(copy.get_params()) == {
        "method", "metric", "calibration", "thresholds", "options", "n_folds", "repeats", "random_state",
    }  # fmt: skip
    assert not hasattr(copy, "honest_score_")
    labels = make_labels()
    again = copy.fit(make_models(labels), labels, FOLDS)
    assert again is copy
    assert copy.honest_score_ == fitted.honest_score_
    assert copy.interval_ == fitted.interval_
    assert copy.set_params(method="mean", options=None).get_params()["method"] == "mean"


def test_nothing_is_told_before_it_is_fitted() -> None:
    models = make_models(make_labels())
    for ask in (MultilabelStacker().predict, MultilabelStacker().predict_proba):
        with pytest.raises(NotFittedError):
            ask(models)
    with pytest.raises(NotFittedError):
        MultilabelStacker().expected_range(10)


def test_folds_of_its_own_are_named_by_the_seed() -> None:
    labels = make_labels()
    models = make_models(labels)
    first, again, other = (
        MultilabelStacker("blend", repeats=1, random_state=seed).fit(models, labels).oof_proba_ for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.filterwarnings("ignore::compete.stacking.stacker.LeakWarning")  # copies of noise look like anything
def test_rows_of_a_group_are_never_apart() -> None:
    """Every row four times: folds that part the copies let a stack that learns by heart look good."""
    labels = np.repeat(make_labels(100, seed=3), 4, axis=0)
    noise = np.repeat(np.random.default_rng(4).random((20, 100, 3)), 4, axis=1)
    heart = MultilabelStacker(metric="roc_auc_macro", options={"C": 10.0}, repeats=1)
    apart = heart.fit(noise, labels).honest_score_
    names = np.repeat(np.random.default_rng(5).permutation(1000)[:100], 4)  # group numbers may have gaps
    together = clone(heart).fit(noise, labels, groups=names).honest_score_
    assert apart > 0.75
    assert together < 0.62


def test_arrays_that_are_given_are_left_as_they_are() -> None:
    labels = make_labels()
    models, folds = make_models(labels), FOLDS.copy()
    before = models.copy(), labels.copy()
    MultilabelStacker(repeats=1).fit(models, labels, folds)
    assert np.array_equal(models, before[0]) and np.array_equal(labels, before[1]) and np.array_equal(folds, FOLDS)


def test_lists_and_booleans_and_labels_as_floats_will_do() -> None:
    labels = make_labels()
    models = make_models(labels)
    expected = MultilabelStacker("mean", repeats=1).fit(models, labels, FOLDS).honest_score_
    lists: Any = models.tolist(), labels.tolist(), FOLDS.tolist()
    others: list[Any] = [
        lists,
        (list(models), labels == 1, FOLDS),
        (models, labels.astype(float), FOLDS.astype(np.uint8)),
    ]
    for X, y, folds in others:
        assert MultilabelStacker("mean", repeats=1).fit(X, y, folds).honest_score_ == expected


def changed(models: NDArray[np.float64], value: float) -> NDArray[np.float64]:
    models = models.copy()
    models[1, 7, 2] = value
    return models


LABELS = make_labels()
MODELS = make_models(LABELS)
NO_POSITIVE = np.where((FOLDS == 2)[:, None] & (np.arange(3) == 1), 0, LABELS)


@pytest.mark.parametrize(
    ("X", "y", "folds", "message"),
    [
        (MODELS[:1], LABELS, FOLDS, "two at least"),
        (MODELS[0], LABELS, FOLDS, r"it has \(400, 3\)"),
        ([MODELS[0], MODELS[1, :-1]], LABELS, FOLDS, "all alike"),
        ({"a": MODELS[0], "b": MODELS[1, :-1]}, LABELS, FOLDS, "all alike"),
        (None, LABELS, FOLDS, r"it has \(\)"),
        ([], LABELS, FOLDS, r"it has \(0,\)"),
        (MODELS[:0], LABELS, FOLDS, r"it has \(0, 400, 3\)"),
        (MODELS[:, :0], LABELS[:0], FOLDS[:0], r"it has \(3, 0, 3\)"),
        (MODELS[..., :0], LABELS[:, :0], FOLDS, r"it has \(3, 400, 0\)"),
        (changed(MODELS, np.nan), LABELS, FOLDS, "base model 1, row 7"),
        (changed(MODELS, -0.1), LABELS, FOLDS, "base model 1, row 7"),
        (changed(MODELS, 1.1), LABELS, FOLDS, "base model 1, row 7"),
        (changed(MODELS, np.inf), LABELS, FOLDS, "base model 1, row 7"),
        (MODELS, LABELS[:-1], FOLDS, r"it has \(399, 3\)"),
        (MODELS, LABELS[:, 0], FOLDS, r"it has \(400,\)"),
        (MODELS, LABELS + 1, FOLDS, "0 and 1"),
        (MODELS, LABELS.T, FOLDS, r"it has \(3, 400\)"),
        (MODELS, LABELS, FOLDS[:-1], "one number per row"),
        (MODELS, LABELS, FOLDS[:, None], "one number per row"),
        (MODELS, LABELS, FOLDS + 1, "whole numbers from 0 to K - 1"),
        (MODELS, LABELS, FOLDS * 2, "whole numbers from 0 to K - 1"),
        (MODELS, LABELS, FOLDS - 1, "whole numbers from 0 to K - 1"),
        (MODELS, LABELS, FOLDS * 0, "whole numbers from 0 to K - 1"),
        (MODELS, LABELS, FOLDS.astype(float), "whole numbers from 0 to K - 1"),
        (MODELS, LABELS, FOLDS + 0.5, "whole numbers from 0 to K - 1"),
        (MODELS, LABELS, np.where(FOLDS == 3, np.nan, FOLDS), "whole numbers from 0 to K - 1"),
        (MODELS, LABELS, FOLDS > 1, "whole numbers from 0 to K - 1"),
        (MODELS, LABELS, FOLDS.astype(str), "whole numbers from 0 to K - 1"),
        (MODELS, NO_POSITIVE, FOLDS, "label 1 has no positive row in fold 2"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(X: Any, y: Any, folds: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        MultilabelStacker("mean", repeats=1).fit(X, y, folds)


def test_groups_of_another_length_are_refused() -> None:
    with pytest.raises(DataError, match="groups must have one number per row"):
        MultilabelStacker("mean").fit(MODELS, LABELS, groups=np.arange(10))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"metric": "f2"}, "no metric 'f2'; there are f1_macro"),
        ({"method": "forest"}, "method"),
        ({"method": "logistic", "options": {"C": -1.0}}, "C"),
        ({"method": "logistic", "options": {"C": []}}, "C"),
        ({"method": "logistic", "options": {"C": [0.1, float("nan")]}}, "C"),
        ({"method": "logistic", "options": {"C": "strong"}}, "C"),
        ({"method": "blend", "options": {"per": "row"}}, "per"),
        ({"method": "lightgbm", "options": {"trees": {"depth": 3}}}, "depth"),
        ({"method": "lightgbm", "options": {"trees": {"num_leaves": 1}}}, "num_leaves"),
        ({"calibration": "isotonic"}, "calibration"),
        ({"thresholds": "best"}, "thresholds"),
        ({"thresholds": "per_row"}, "is not for macro-F1"),
        ({"thresholds": "shrunk", "metric": "f1_micro"}, "is not for micro-F1"),
        ({"thresholds": "expected", "metric": "f1_samples"}, "is not for samples-F1"),
        ({"thresholds": "empirical", "metric": "log_loss"}, "is not for log loss"),
        ({"n_folds": 1}, "n_folds = 1"),
        ({"n_folds": -3}, "n_folds = -3"),
        ({"repeats": 0}, "repeats = 0"),
    ],
)
def test_parameters_that_mean_nothing_are_refused_before_anything_is_fitted(
    parameters: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacker, "Workbench", None)
    with pytest.raises(UserError, match=message):
        MultilabelStacker(**{"method": "mean", "repeats": 1, **parameters}).fit(MODELS, LABELS)


MEANT: dict[str, dict[str, Any]] = {
    "mean": {"ranks": True},
    "blend": {"per": "label"},
    "nelder_mead": {"per": "label"},
    "logistic": {"C": [0.1]},
    "ridge": {"alpha": [1e4]},
    "lightgbm": {"trees": {"max_trees": 3}},
}
NEVER_MEANT: dict[str, Any] = {
    "models": ["0"],
    "stacks": ["a", "b"],
    "method": "mean",
    "row_features": True,
    "features": True,
    "label_shift": True,
    "calibration": "platt",
    "thresholds": "half",
    "depth": 3,
}


@pytest.mark.parametrize("method", MEANT)
def test_options_without_meaning_for_the_method_are_refused(method: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacker, "Workbench", None)
    of_others = {k: value for meant in MEANT.values() for k, value in meant.items() if k not in MEANT[method]}
    for key, value in {**of_others, **NEVER_MEANT}.items():
        with pytest.raises(UserError, match=rf"'{key}'.*no meaning for method '{method}'"):
            MultilabelStacker(method, options={**MEANT.get(method, {}), key: value}).fit(MODELS, LABELS, FOLDS)


@pytest.mark.parametrize("method", MEANT)
def test_options_that_the_method_knows_are_followed(method: Any) -> None:
    with_options, without = (
        MultilabelStacker(method, options=options, repeats=1).fit(MODELS, LABELS, FOLDS).oof_proba_
        for options in (MEANT[method], None)
    )
    assert not np.array_equal(with_options, without)


def test_a_single_penalty_is_a_list_of_one() -> None:
    fits = [
        MultilabelStacker(options={"C": C}, repeats=1).fit(MODELS, LABELS, FOLDS).oof_proba_ for C in (0.1, [0.1], 1.0)
    ]
    assert np.array_equal(fits[0], fits[1])
    assert not np.array_equal(fits[0], fits[2])
    assert StackDeclaration.model_validate({"method": "logistic", "C": 0.1}).C == [0.1]
    assert StackDeclaration.model_validate({"method": "logistic", "C": [0.1, 1]}).C == [0.1, 1.0]


@pytest.mark.parametrize("n_rows", [0, -5])
def test_a_score_of_no_rows_has_no_range(fitted: MultilabelStacker, n_rows: int) -> None:
    with pytest.raises(UserError, match=f"n_rows = {n_rows}: a score needs a row"):
        fitted.expected_range(n_rows)
    low, high = fitted.expected_range(1)
    assert 0 <= low < high <= 1


@pytest.mark.parametrize(
    "metric", [name for name, metric in DECLARED_METRICS.items() if "cross_fitted" in rules_for(metric)]
)
@pytest.mark.parametrize("method", ["mean", "logistic"])
def test_two_folds_will_do(metric: Any, method: Any) -> None:
    """With the plain mean and with what is fitted, for the thresholds that are fitted on one fold alone."""
    two, four = (
        MultilabelStacker(method, metric, thresholds="cross_fitted", n_folds=k, repeats=2).fit(MODELS, LABELS)
        for k in (2, 4)
    )
    assert two.honest_score_ == pytest.approx(four.honest_score_, abs=0.03)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (MODELS[:2], "fitted on 3 models and 3 labels, not on 2 and 3"),
        (MODELS[..., :2], "fitted on 3 models and 3 labels, not on 3 and 2"),
        (MODELS[0], "n_models, n_rows, n_labels"),
        (MODELS[:, :0], r"it has \(3, 0, 3\)"),
        ({"a": MODELS[0]}, "by name, in a dict, to fit and to predict"),
        (changed(MODELS, np.nan), "base model 1, row 7"),
    ],
)
def test_other_models_than_were_fitted_on_are_refused(fitted: MultilabelStacker, X: Any, message: str) -> None:
    for ask in (fitted.predict, fitted.predict_proba):
        with pytest.raises(DataError, match=message):
            ask(X)


def test_the_names_of_the_package_are_there_and_others_are_not() -> None:
    assert all(getattr(stacking, name) is not None for name in stacking.__all__)
    with pytest.raises(AttributeError, match="no attribute 'forest'"):
        _ = stacking.forest


NAMES = ["joy", "anger", "trust"]


def frames(labels: Labels, seed: int = 1) -> dict[str, pd.DataFrame]:
    """The models as DataFrames; the second has its rows and labels in another order."""
    rows = [f"r{number}" for number in range(len(labels))]
    models = [pd.DataFrame(cells, index=rows, columns=NAMES) for cells in make_models(labels, seed=seed)]
    models[1] = models[1].sample(frac=1, random_state=3)[["trust", "joy", "anger"]]
    return dict(zip(("weak", "strong", "middling"), models, strict=True))


def test_dataframes_are_brought_into_one_order(fitted: MultilabelStacker) -> None:
    labels = make_labels()
    by_name = frames(labels)
    y = pd.DataFrame(labels, index=by_name["weak"].index, columns=NAMES)
    for X in (by_name, list(by_name.values())):
        found = MultilabelStacker(options={"C": 0.1}).fit(X, y, FOLDS)
        assert found.honest_score_ == fitted.honest_score_
        assert found.label_names_ == NAMES
    new = make_labels(50, seed=5)
    named = MultilabelStacker(options={"C": 0.1}).fit(by_name, labels, FOLDS)
    assert named.honest_score_ == fitted.honest_score_  # an array of labels goes with the first model
    backwards = dict(reversed(frames(new, seed=6).items()))
    first = backwards["middling"].index
    expected = pd.DataFrame(fitted.predict_proba(make_models(new, seed=6)), index=frames(new)["weak"].index)
    assert named.predict_proba(backwards) == pytest.approx(expected.loc[first].to_numpy())


def test_other_rows_labels_or_models_are_refused_by_name() -> None:
    labels = make_labels()
    models = frames(labels)
    fit = MultilabelStacker().fit
    strong = models["strong"]
    damage: list[tuple[Any, str]] = [
        (strong.rename(columns={"joy": "fun"}), "strong has other labels: 'joy' is missing"),
        (strong.iloc[1:], "strong has other rows: 'r.*' is missing"),
        (pd.concat([strong, strong.iloc[:1]]), "strong: rows of the same name"),
        (strong.to_numpy(), "some models are DataFrames and some are not"),
    ]
    for changed_model, message in damage:
        with pytest.raises(DataError, match=message):
            fit({**models, "strong": changed_model}, labels)
    fitted = fit(models, labels)
    with pytest.raises(DataError, match="the models are weak, strong; expected weak, strong, middling"):
        fitted.predict({name: models[name] for name in ("weak", "strong")})
    with pytest.raises(DataError, match="by name, in a dict"):
        fitted.predict(list(models.values()))


def test_the_score_is_the_metric_of_new_rows_and_higher_is_better(fitted: MultilabelStacker) -> None:
    new = make_labels(300, seed=5)
    X = make_models(new, seed=6)
    assert fitted.score(X, new) == METRICS["f1_macro"].compute(new, fitted.predict(X))
    losing = MultilabelStacker(metric="log_loss", options={"C": 0.1}).fit(make_models(make_labels()), make_labels())
    assert losing.score(X, new) == -METRICS["log_loss"].compute(new, losing.predict_proba(X))
    models = frames(new, seed=6)
    y = pd.DataFrame(new, index=models["weak"].index, columns=NAMES)[["trust", "anger", "joy"]].iloc[::-1]
    named = MultilabelStacker(options={"C": 0.1}).fit(frames(make_labels()), make_labels(), FOLDS)
    assert named.score(models, y) == fitted.score(X, new)


def test_a_model_that_knows_its_labels_is_warned_of() -> None:
    labels = make_labels()
    models = make_models(labels)
    models[0] = labels
    with pytest.warns(LeakWarning, match=r"model 0: AUC 1\.000 on the training rows"):
        MultilabelStacker().fit(models, labels)
