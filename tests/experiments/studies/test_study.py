"""Studies of the tiny workspace: numbers by hand from the stored parts, resuming, staleness, mistakes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import f1_score

import compete
from compete.base_models.recipes import Recipe, load_recipe
from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.errors import DeclarationError, UserError
from compete.experiments.run_log import read_log
from compete.experiments.studies import settings
from compete.experiments.studies.study import Study
from compete.reporting.figures.catalogue import catalogue
from compete.stacking.ensemble.thresholds import cross_fitted_f1_threshold
from compete.workflows.study import study_folds, study_seeds, study_setting
from support.in_process import in_process
from support.lived_in import copied, write_linear_models

K, REPEATS = (2, 3), 3


@pytest.fixture(scope="module")
def studied(untouched: Workspace, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Study]:
    workspace = copied(untouched, tmp_path_factory.mktemp("studied"))
    return workspace, study_folds(workspace, "words", K, repeats=REPEATS, workers=0)


def stored(workspace: Workspace, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows and predictions of a part, read without compete."""
    table = pq.read_table(workspace.root / "studies" / "words_folds" / "parts" / part / "predictions.parquet")
    columns = [table[f"output {i}"].to_numpy() for i in range(3)]
    return table["row"].to_numpy(), np.column_stack(columns)


def test_every_number_is_recomputed_by_hand(studied: tuple[Workspace, Study]) -> None:
    workspace, found = studied
    truth = load_competition(workspace).train_targets
    by_hand: dict[int, list[tuple[float, float, float]]] = {k: [] for k in K}
    for k in K:
        for repeat in range(REPEATS):
            parts = [stored(workspace, f"k{k}_grouped_r{repeat}_f{fold}") for fold in range(k)]
            aside = np.array(sorted(set.intersection(*(set(rows.tolist()) for rows, _ in parts))))
            folds = np.full(len(truth), -1)
            oof = np.full(truth.shape, np.nan, dtype=np.float32)
            of_aside = []
            for fold, (rows, cells) in enumerate(parts):
                own = ~np.isin(rows, aside)
                folds[rows[own]], oof[rows[own]] = fold, cells[own]
                of_aside.append(cells[np.argsort(np.where(own, len(truth), rows))][: len(aside)])
            kept = folds >= 0
            assert 0.1 < len(aside) / len(truth) < 0.3 and (kept.sum() + len(aside)) == len(truth)
            decided = np.zeros(truth.shape, dtype=np.int8)
            for fold in range(k):
                others = kept & (folds != fold)
                cuts = [cross_fitted_f1_threshold(truth[others, j], oof[others, j], folds[others]) for j in range(3)]
                decided[folds == fold] = oof[folds == fold] >= cuts
            cuts = [cross_fitted_f1_threshold(truth[kept, j], oof[kept, j], folds[kept]) for j in range(3)]
            scores = [f1_score(truth[aside], cells >= cuts, average="macro", zero_division=0) for cells in of_aside]
            mean = f1_score(truth[aside], np.mean(of_aside, axis=0) >= cuts, average="macro", zero_division=0)
            honest = f1_score(truth[kept], decided[kept], average="macro", zero_division=0)
            by_hand[k].append((honest, float(np.mean(scores)), mean))
    for k in K:
        values, row = np.array(by_hand[k]), found.table.loc[f"K = {k}"]
        error = values[:, 0] - values[:, 2]
        shown = row[["honest", "one_aside", "mean_aside", "error", "absolute_error", "rmse"]].to_numpy(dtype=float)
        hand = [*values.mean(axis=0), error.mean(), np.abs(error).mean(), np.sqrt((error**2).mean())]
        np.testing.assert_allclose(shown, hand, atol=1e-6)
    # The reference is the workspace's own K = 3; variance of Nadeau and Bengio, t of 2 degrees of freedom, 2 intervals.
    gains = np.array(by_hand[2])[:, 2] - np.array(by_hand[3])[:, 2]
    reach = 6.205347 * np.sqrt((1 / 3 + 0.25) * gains.var(ddof=1))
    told = found.differences.set_index("measure").loc["aside"]
    np.testing.assert_allclose([told.gain, told.low, told.high], gains.mean() + np.array([0, -reach, reach]), atol=1e-6)
    record = json.loads(workspace.study_record("words_folds").read_text(encoding="utf-8"))
    assert record["scores"]["k2_grouped"][0]["honest"] == pytest.approx(by_hand[2][0][0])


def test_no_row_aside_is_like_a_row_that_was_learnt_from(studied: tuple[Workspace, Study]) -> None:
    from compete.experiments.studies.trials import Arm, Trial, dealt

    competition = load_competition(studied[0])
    folds = dealt(competition, Trial(Arm("a", "a", 3, "plain"), 0, 0.2))
    assert not set(competition.groups[folds < 0]) & set(competition.groups[folds >= 0])


def test_what_is_there_is_not_trained_again_and_what_changed_is(
    studied: tuple[Workspace, Study], tmp_path: Path
) -> None:
    workspace = copied(studied[0], tmp_path)
    said: list[str] = []
    again = study_folds(workspace, "words", K, repeats=REPEATS, workers=0, say=said.append)
    assert said == ["15 trainings, 15 are there already"]
    assert again.table.equals(studied[1].table)
    shutil.rmtree(workspace.study_part("words_folds", "k2_grouped_r0_f1"))
    damaged = workspace.study_part("words_folds", "k3_grouped_r2_f0") / "predictions.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    said.clear()
    mended = study_folds(workspace, "words", K, repeats=REPEATS, workers=0, say=said.append)
    assert "15 trainings, 13 are there already" in said
    assert mended.table.drop(columns="seconds").equals(again.table.drop(columns="seconds"))
    recipe = workspace.recipe("words")
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("1.0", "2.0"), encoding="utf-8")
    said.clear()
    study_folds(workspace, "words", K, repeats=1, workers=0, say=said.append)
    assert said == ["5 trainings of other rows or settings are made again", "5 trainings, 0 are there already"]


def test_settings_and_seeds(untouched: Workspace, tmp_path: Path) -> None:
    workspace = copied(untouched, tmp_path)
    found = study_setting(workspace, "words", "smoothing", [1.0, 20.0], workers=0)
    assert found.reference.title == "1.0" and list(found.table.index) == ["1.0", "20.0"]
    (told,) = found.comparisons
    assert told.difference.called and told.difference.low is not None and told.difference.low > 0
    # The first seed is the recipe's own: the same scores as of the model itself.
    opened = compete.open(workspace.root, quiet=True)
    opened.train_base("words", workers=0)
    oof = opened.probabilities("words").oof
    part = workspace.study_part("words_smoothing", f"{found.arms[0].name}_r0_f1") / "predictions.parquet"
    table = pq.read_table(part)
    np.testing.assert_array_equal(table["output 0"].to_numpy(), oof[table["row"].to_numpy(), 0])
    # Nothing of a study is a base model.
    assert list(opened.base_models) == ["words"]
    alone = study_seeds(workspace, "words", seeds=2, workers=0)
    assert study_seeds(workspace, "words", seeds=2, workers=0).conclusion == alone.conclusion
    runs = [each.run for each in read_log(workspace).runs if each.run.command == "study"]
    assert [(run.kind, run.name) for run in runs] == [("study", "words_smoothing"), ("study", "words_seeds")]
    assert runs[0].note == "; ".join(found.conclusion)
    assert alone.seed_spread[1] > 0 and not alone.comparisons
    assert len(alone.conclusion) == 2
    names = [picture.name for picture in catalogue(opened).pictures]
    assert "study_words_smoothing" in names
    assert opened.figure("study_words_smoothing").axes


def test_values_are_told_apart_as_the_family_has_them(untouched: Workspace, tmp_path: Path) -> None:
    workspace = copied(untouched, tmp_path)
    write_linear_models(workspace)
    recipe = load_recipe(workspace, "linear")
    value = settings.current(recipe, "C")
    arms = settings.arms_of(recipe, "C", [2 * value, int(value)])
    assert value == int(value) and arms[1].title == settings.title_of(value)
    with pytest.raises(UserError, match="a value is there twice"):
        settings.arms_of(recipe, "C", [int(value), value])
    with pytest.raises(UserError, match="another checkpoint is another model"):
        settings.arms_of(varied_checkpoint(workspace), "revision", ["a", "b"])


def varied_checkpoint(workspace: Workspace) -> Recipe:
    text = 'family = "sequence_classifier"\n[settings]\ncheckpoint = "miniature:roberta"\n'
    (workspace.recipes / "mini.toml").write_text(text, encoding="utf-8")
    return load_recipe(workspace, "mini")


def test_what_was_tuned_on_these_rows_is_refused_or_said(untouched: Workspace, tmp_path: Path) -> None:
    workspace = copied(untouched, tmp_path)
    text = workspace.recipe("words").read_text(encoding="utf-8")
    tuned = '[tuned]\nof = "words"\nfolds = [0, 1, 2]\n'
    (workspace.recipes / "words_tuned.toml").write_text(f"{text}\n{tuned}", encoding="utf-8")
    with pytest.raises(UserError, match=r"chosen by labels of rows that this study would set aside"):
        study_folds(workspace, "words_tuned", (2, 3), repeats=1, workers=0)
    said: list[str] = []
    study_setting(workspace, "words_tuned", "smoothing", [1.0, 20.0], seeds=1, workers=0, say=said.append)
    study_seeds(workspace, "words_tuned", seeds=2, workers=0, say=said.append)
    assert sum("chosen by labels of these rows" in each for each in said) == 2
    apart = f"{text}\n[settings_of_fold.0]\nsmoothing = 2.0\n"
    (workspace.recipes / "words_apart.toml").write_text(apart, encoding="utf-8")
    with pytest.raises(UserError, match="folds have settings of their own"):
        study_setting(workspace, "words_apart", "smoothing", [1.0, 20.0], workers=0)


def test_one_seed_tells_nothing(untouched: Workspace, tmp_path: Path) -> None:
    found = study_setting(copied(untouched, tmp_path), "words", "smoothing", [1.0, 20.0], seeds=1, workers=0)
    assert not any(each.difference.called for each in found.comparisons)
    assert found.conclusion == [
        "nothing can be told: with one seed nobody knows how much of a difference is the seed's"
    ]


def test_the_figure_of_folds(studied: tuple[Workspace, Study]) -> None:
    opened = compete.open(studied[0].root, quiet=True)
    assert "study_words_folds" in opened.figures()
    assert opened.figure("study_words_folds").axes


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"k": (1, 3)}, "K = 1: from 2 to"),
        ({"k": (3,)}, "one number of folds compares with nothing"),
        ({"k": (3, 3)}, "twice"),
        ({"k": (3, 60)}, "too few have 'trust'"),
        ({"strategies": ("grouped", "randomly")}, "strategy randomly"),
        ({"aside": 0.9}, "aside = 0.9"),
        ({"repeats": 0}, "repeats = 0"),
        ({"model": "nothing"}, "no recipe base_models/nothing.toml"),
    ],
)
def test_mistakes(untouched: Workspace, tmp_path: Path, arguments: dict[str, object], told: str) -> None:
    workspace = copied(untouched, tmp_path)
    with pytest.raises(UserError, match=told):
        study_folds(workspace, **{"model": "words", "workers": 0, **arguments})  # type: ignore[arg-type]
    assert not (workspace.root / "studies" / "words_folds" / "parts").exists()


def test_mistakes_in_settings(untouched: Workspace, tmp_path: Path) -> None:
    workspace = copied(untouched, tmp_path)
    with pytest.raises(UserError, match="is no setting of base_models/words"):
        study_setting(workspace, "words", "scheduler", ["linear", "constant"])
    with pytest.raises(DeclarationError, match=r"study\.smoothing"):
        study_setting(workspace, "words", "smoothing", ["much", 1.0])
    with pytest.raises(UserError, match="one value alone"):
        study_setting(workspace, "words", "smoothing", [1.0])
    with pytest.raises(UserError, match="which values"):
        study_setting(workspace, "words", "smoothing")


def test_the_command(
    studied: tuple[Workspace, Study],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workspace = copied(studied[0], tmp_path)
    run = in_process(workspace.root, monkeypatch, capsys)
    monkeypatch.setenv("COLUMNS", "80")
    ran = run("study", "folds", "words", "--k", "2,3", "--repeats", "3", "--workers", "0")
    assert ran.code == 0 and "more than" in ran.stdout and "15 are there already" in ran.stderr
    ran = run("study", "folds", "words", "--k", "2,3", "--repeats", "3", "--workers", "0", "--json")
    assert ran.document["table"][0]["honest"] == studied[1].table["honest"].iloc[0]
    ran = run("study", "vary", "words", "--setting", "depth=1,2")
    assert ran.code == 2 and "depth" in ran.stderr and "Traceback" not in ran.stderr
    assert run("study", "folds", "words", "--k", "three").code == 2
