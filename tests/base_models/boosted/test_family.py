"""The family of trees: the columns beside the text are used, and nothing is learnt of rows that are only predicted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.base_models.boosted.family import Boosted, FittedBoosted
from compete.base_models.boosted.settings import BoostedSettings
from compete.base_models.families import FitContext
from compete.competition.text_columns import with_features

CONTEXT = FitContext(("loved", "odd"), seed=3)
FAMILY = Boosted(BoostedSettings(n_components=4, min_data_in_leaf=5))
TOPICS = ("art", "bread", "cats", "dust")


def posts(count: int = 240, seed: int = 5) -> tuple[list[str], dict[str, list[str]], NDArray[np.int8]]:
    """Texts that say nothing; upvotes tell the first label, the topic the second. One cell in ten is empty."""
    random = Random(seed)
    upvotes = [random.randrange(1000) for _ in range(count)]
    topics = [random.randrange(4) for _ in range(count)]
    texts = [f"what a day filler{random.randrange(30)}" for _ in range(count)]
    labels = np.array([[up > 500, topic % 2] for up, topic in zip(upvotes, topics, strict=True)], dtype=np.int8)
    cells = {
        "upvotes": [str(up) if random.random() < 0.9 else "" for up in upvotes],
        "topic": [TOPICS[topic] for topic in topics],
    }
    return texts, cells, labels


def fit(context: FitContext = CONTEXT) -> FittedBoosted:
    texts, cells, labels = posts()
    return FAMILY.fit(with_features(texts, cells), labels, context)


def test_columns_that_carry_the_signal_are_used_and_texts_alone_have_none() -> None:
    texts, cells, labels = posts(seed=6)
    found = fit().predict_proba(with_features(texts, cells))
    right = ((found > 0.5) == labels).mean(axis=0)
    assert right[0] > 0.85 and right[1] > 0.98
    blind = FAMILY.fit(posts()[0], posts()[2], CONTEXT).predict_proba(texts)
    assert ((blind > 0.5) == labels).mean() < 0.65


def test_the_same_rows_give_the_same_bytes_also_after_reading_again(tmp_path: Path) -> None:
    texts, cells, _ = posts(seed=6)
    odd = with_features(["never seen"] * 2, {"upvotes": ["", "x"], "topic": ["", "z"]})
    rows = [*with_features(texts, cells), *odd]
    first, second = fit(), fit()
    found = first.predict_proba(rows)
    assert found.tobytes() == second.predict_proba(rows).tobytes()
    assert first.save(tmp_path, whole=False)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors", ".txt"}
    assert found.tobytes() == FAMILY.load(tmp_path, CONTEXT).predict_proba(rows).tobytes()


def test_a_row_is_predicted_alone_as_among_others_and_changes_nothing_that_was_learnt() -> None:
    texts, cells, _ = posts(20, seed=6)
    rows = with_features(texts, {**cells, "topic": ["never seen"] * 20})
    model = fit()
    known = model.columns.categories
    together = model.predict_proba(rows)
    np.testing.assert_array_equal(together, np.concatenate([model.predict_proba([row]) for row in rows]))
    assert model.columns.categories == known == (TOPICS, None)


@pytest.mark.parametrize("topic", ["never seen", ""])
def test_categories_that_no_training_row_has_are_one_and_the_same(topic: str) -> None:
    other, unseen = with_features(["a day"] * 2, {"upvotes": ["900", "900"], "topic": [topic, "something else"]})
    found = fit().predict_proba([other, unseen])
    np.testing.assert_array_equal(found[0], found[1])
    assert found[0, 0] > 0.5


def test_progress_ends_at_one() -> None:
    seen: list[float] = []
    fit(FitContext(CONTEXT.labels, 3, progress=lambda fraction, doing="": seen.append(fraction)))
    assert seen == sorted(seen) and seen[-1] == 1.0


def test_reading_settings_imports_no_heavy_library() -> None:
    heavy = "{'torch', 'sklearn', 'scipy', 'pandas', 'lightgbm'}"
    code = f"import sys, compete.base_models.boosted.family; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
