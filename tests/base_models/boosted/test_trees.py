"""Trees of every output: what there is to tell apart is told apart, and read again as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compete.base_models.boosted.settings import BoostedSettings
from compete.base_models.boosted.trees import Design, Trees, grow
from compete.base_models.families import FitContext

SETTINGS = BoostedSettings(min_data_in_leaf=5, feature_fraction=1.0, learning_rate=0.2)
ROWS = (np.arange(0, 200), np.arange(200, 240))
CONTEXT = FitContext(("first", "second"), seed=3, task="multilabel")


def design(seed: int = 1) -> Design:
    """A number and a category of six, (240, 2)."""
    random = np.random.default_rng(seed)
    return Design(np.stack([random.normal(size=240), random.integers(6, size=240)], axis=1).astype(float), [1])


def test_categories_are_sets_and_no_order() -> None:
    made = design()
    odd = (made.numbers[:, 1] % 2)[:, None].astype(np.int8)
    one_cut = BoostedSettings(**{**SETTINGS.model_dump(), "num_leaves": 2, "max_trees": 1, "learning_rate": 1.0})
    as_category = grow(one_cut, made, odd, ROWS, FitContext(("odd",), 3)).predict(made.numbers)
    as_number = grow(one_cut, Design(made.numbers, []), odd, ROWS, FitContext(("odd",), 3)).predict(made.numbers)
    assert as_category[odd == 1].min() > as_category[odd == 0].max()
    assert as_number[odd == 1].min() <= as_number[odd == 0].max()


def test_a_label_without_two_values_has_its_smoothed_rate_and_no_trees() -> None:
    made = design()
    labels = np.stack([made.numbers[:, 0] > 0, np.zeros(240)], axis=1).astype(np.int8)
    trees = grow(SETTINGS, made, labels, ROWS, CONTEXT)
    assert trees.boosters[0] is not None and trees.boosters[1] is None
    found = trees.predict(made.numbers)
    np.testing.assert_allclose(found[:, 1], 1 / 242)
    assert ((found[:, 0] > 0.5) == labels[:, 0]).mean() > 0.95


def test_trees_end_where_the_validation_rows_say_so() -> None:
    made = design()
    noise = np.random.default_rng(2).integers(2, size=(240, 1)).astype(np.int8)
    trees = grow(SETTINGS, made, noise, ROWS, FitContext(("noise",), 3))
    assert trees.boosters[0].num_trees() < 50 < SETTINGS.max_trees


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_they_are_read_again_as_they_were_written(task: str, tmp_path: Path) -> None:
    made = design()
    y = np.stack([1000 + 50 * made.numbers[:, 0], np.full(240, 7.0)], axis=1).astype(np.float32)
    targets = y if task == "regression" else (y > 1000).astype(np.int8)
    context = FitContext(("first", "second"), 3, task)  # type: ignore[arg-type]
    trees = grow(SETTINGS, made, targets, ROWS, context)
    trees.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"outputs.safetensors", "trees_0.txt"}
    found = trees.predict(made.numbers)
    assert found.tobytes() == Trees.load(tmp_path, context).predict(made.numbers).tobytes()
    if task == "regression":
        assert np.abs(found[:, 0] - y[:, 0]).mean() < 20
        np.testing.assert_allclose(found[:, 1], 7)
