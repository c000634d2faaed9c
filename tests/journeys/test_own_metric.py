"""A metric of the user's own, from competition.toml to a stack's honest score."""

from __future__ import annotations

from pathlib import Path

import pytest

from compete.allowed_code import allow
from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.errors import UserError
from compete.oof.fold_plan import with_plan
from compete.stacking.scoring import base_model_score
from support.one_model import train_model

RMSE = '"""Mine."""\n\n\ndef score(truth, predicted):\n    return float(((truth - predicted) ** 2).mean() ** 0.5)\n'


@pytest.fixture
def own(workspace: Workspace) -> Workspace:
    file = workspace.declaration
    keys = 'metric = "mine.py:score"\nmetric_wants = "probabilities"\nmetric_greater_is_better = false\n'
    lines = [line for line in file.read_text("utf-8").splitlines(keepends=True) if not line.startswith("metric")]
    file.write_text(keys + "".join(lines), encoding="utf-8")
    (workspace.root / "mine.py").write_text(RMSE, encoding="utf-8")
    allow(workspace.root / "mine.py")
    return workspace


def test_it_scores_and_an_edited_file_scores_anew(own: Workspace) -> None:
    competition = load_competition(own)
    train_model(competition, "words")
    before = base_model_score(with_plan(competition), "words").honest
    assert 0.1 < before < 0.6
    assert competition.metric.sign == -1
    (own.root / "mine.py").write_text(RMSE.replace("** 0.5", "** 0.5 + 1"), encoding="utf-8")
    with pytest.raises(UserError, match=r"mine\.py is code of this workspace .* read it, then `compete allow`"):
        base_model_score(with_plan(load_competition(own)), "words")
    allow(own.root / "mine.py")
    after = base_model_score(with_plan(load_competition(own)), "words").honest
    assert after == pytest.approx(before + 1)


def test_a_file_that_is_gone_is_named(own: Workspace) -> None:
    (own.root / "mine.py").unlink()
    with pytest.raises(UserError, match=r"competition\.toml: metric: mine\.py cannot be read"):
        _ = load_competition(own).metric_source
    assert Path(own.root / "competition.toml").is_file()
