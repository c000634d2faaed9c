"""Which figures a workspace gives, and that what is drawn are its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from numpy.typing import NDArray

import compete
from compete.competition.workspace import Workspace
from compete.oof.fold_plan import with_plan
from compete.oof.imported import ImportedFile, import_model
from compete.opened import Opened
from compete.reporting.figures import catalogue as catalogues
from compete.reporting.figures import picture
from compete.reporting.figures.catalogue import catalogue
from compete.reporting.figures.score_rows import score_rows
from compete.reporting.figures.style import svg
from compete.stacking.leave_one_out import kept_contributions
from support.lived_in import LABELS, ODD_STACK, build_stacks, copied, declare, reveal, rewrite, send, train_models

pytestmark = pytest.mark.slow

MODELS = ["words", "words_smooth"]
STACKS = [ODD_STACK, "logistic"]
ALWAYS = ["label_rates", "co_occurrence"]
EVERY = {
    *ALWAYS,
    "scores",
    "honest_naive",
    "cost",
    *(f"curves_{name}" for name in MODELS),
    "error_correlation",
    "leave_one_out",
    "reliability",
    "reliability_models",
    "precision_recall",
    "label_f1",
    *(f"labels_{name}" for name in [*MODELS, *STACKS]),
    "leaderboard",
    "public_private",
    "road",
}


def missing(opened: Opened) -> dict[str, str]:
    return {each.title: each.why for each in catalogue(opened).missing}


def shown_in_order(figure: Figure) -> list[str]:
    """Names of the rows, from the top."""
    return [text.get_text() for text in figure.axes[0].get_yticklabels()]


def points(figure: Figure, label: str) -> NDArray[np.float64]:
    """x and y of the marks with this label in the legend, (n, 2)."""
    containers = [c for c in figure.axes[0].containers if isinstance(c, ErrorbarContainer)]
    lines = [(str(c.get_label()), c.lines[0]) for c in containers]
    lines += [(str(line.get_label()), line) for line in figure.axes[0].lines]
    return next(np.asarray(line.get_xydata()) for name, line in lines if name.startswith(label))


def bars(container: ErrorbarContainer) -> NDArray[np.float64]:
    """Low and high end of every error bar along x, (n, 2)."""
    collection = container.lines[2][0]
    assert isinstance(collection, LineCollection)
    return np.array([[segment[0][0], segment[1][0]] for segment in collection.get_segments()])


def cells(figure: Figure, axes: int = 0) -> NDArray[np.float64]:
    mesh = next(c for c in figure.axes[axes].collections if isinstance(c, QuadMesh))
    found = np.ma.filled(np.ma.masked_invalid(np.ma.asarray(mesh.get_array(), dtype=np.float64)), np.nan)
    return np.asarray(found)


def test_a_workspace_with_everything_gives_every_figure(opened: Opened) -> None:
    assert set(opened.figures()) == EVERY
    assert len(opened.figures()) == len(EVERY)
    assert missing(opened) == {}


@pytest.mark.parametrize("dark", [False, True])
def test_every_figure_can_be_had_by_its_name(opened: Opened, dark: bool) -> None:
    for name in opened.figures():
        assert opened.figure(name, dark=dark).axes, name


def test_scores_are_drawn_with_their_intervals_the_best_on_top(opened: Opened) -> None:
    figure, ranked = opened.figure("scores"), opened.ranked
    assert shown_in_order(figure) == [s.title.removeprefix("base model ") for s in ranked]
    assert points(figure, "validation")[:, 0].tolist() == [s.score.honest for s in ranked]
    assert figure.axes[0].yaxis.get_inverted() or figure.axes[0].get_ylim()[0] > figure.axes[0].get_ylim()[1]
    container = next(c for c in figure.axes[0].containers if isinstance(c, ErrorbarContainer))
    assert bars(container) == pytest.approx(np.array([[s.score.low, s.score.high] for s in ranked]))
    by_source = opened.ledger.set_index("source")
    titles = [shown.title for shown in ranked if shown.title in by_source.index]
    for which in ("public", "private"):
        assert points(figure, which)[:, 0].tolist() == by_source.loc[titles, which].tolist()


def test_honest_stands_against_naive(opened: Opened) -> None:
    figure, ranked = opened.figure("honest_naive"), opened.ranked
    assert points(figure, "honest")[:, 0].tolist() == [s.score.honest for s in ranked]
    assert points(figure, "naive")[:, 0].tolist() == [s.score.naive for s in ranked]


def test_rates_are_those_of_the_labels_the_most_frequent_on_top(opened: Opened) -> None:
    figure = opened.figure("label_rates")
    rates = opened.train[list(LABELS)].mean().sort_values(ascending=False)
    train, test = (c for c in figure.axes[0].containers if isinstance(c, BarContainer))
    assert [patch.get_width() for patch in train.patches] == pytest.approx((100 * rates).tolist())
    assert shown_in_order(figure) == [name if len(name) <= 32 else f"{name[:31]}…" for name in rates.index]
    estimated = np.array([patch.get_width() for patch in test.patches])
    assert np.abs(estimated - 100 * rates.to_numpy()).max() < 50
    assert not np.allclose(estimated, 100 * rates)


def test_co_occurrence_is_the_share_of_the_rows_with_the_label_on_the_left(opened: Opened) -> None:
    figure = opened.figure("co_occurrence")
    assert opened.chosen is not None
    decided = pd.DataFrame(opened.decisions(opened.chosen.name), columns=list(LABELS))
    for place, table in enumerate((opened.train[list(LABELS)], decided)):
        found = cells(figure, place)
        for i, one in enumerate(LABELS):
            for j, other in enumerate(LABELS):
                expected = np.nan if i == j else table.loc[table[one] == 1, other].mean()
                assert found[i, j] == pytest.approx(expected, nan_ok=True)
    assert not np.allclose(cells(figure, 0), cells(figure, 1), equal_nan=True)


def test_the_heatmap_has_every_model_and_label(opened: Opened) -> None:
    order = opened.train[list(LABELS)].mean().sort_values(ascending=False).index
    expected = [[opened.per_label(shown.name).loc[label, "f1"] for label in order] for shown in opened.ranked]
    assert cells(opened.figure("label_f1")) == pytest.approx(np.array(expected))


@pytest.mark.parametrize("name", [*MODELS, *STACKS])
def test_every_model_and_stack_has_its_labels_drawn(opened: Opened, name: str) -> None:
    figure, table = opened.figure(f"labels_{name}"), opened.per_label(name)
    order = opened.train[list(LABELS)].mean().sort_values(ascending=False).index
    for what in ("precision", "recall"):
        assert points(figure, what)[:, 0].tolist() == table.loc[order, what].tolist()
    assert points(figure, "F1")[:, 0].tolist() == table.loc[order, "f1"].tolist()


def test_how_alike_models_err_is_the_correlation_of_their_errors(opened: Opened) -> None:
    errors = [opened.train[list(LABELS)].to_numpy() - opened.oof(name).to_numpy() for name in MODELS]
    expected = np.mean([np.corrcoef(errors[0][:, i], errors[1][:, i])[0, 1] for i in range(3)])
    assert cells(opened.figure("error_correlation")).ravel() == pytest.approx([expected], abs=1e-5)


def test_worth_is_what_was_kept_with_the_stack(opened: Opened, lived: Workspace) -> None:
    stack = opened.find("logistic")
    assert opened.chosen is stack
    worths = kept_contributions(stack.folder, stack.record)
    assert worths
    figure = opened.figure("leave_one_out")
    assert shown_in_order(figure) == [worth.model for worth in worths]
    marks = [c.lines[0] for c in figure.axes[0].containers if isinstance(c, ErrorbarContainer)]
    drawn = np.concatenate([np.asarray(mark.get_xdata()) for mark in marks])
    assert sorted(drawn.tolist()) == sorted(worth.gain for worth in worths)
    lived.stack("logistic").leave_one_out.unlink()
    again = compete.open(lived.root)
    assert "leave_one_out" not in again.figures()
    assert missing(again) == {"What each base model adds": "`compete stack --leave-one-out` finds out"}


def test_the_point_of_precision_and_recall_is_the_threshold(opened: Opened) -> None:
    assert opened.chosen is not None
    figure, labels = opened.figure("precision_recall"), opened.chosen.score.labels
    for axes, (name, score) in zip(figure.axes, labels.items(), strict=True):
        recall, precision = np.asarray(axes.lines[-1].get_xydata())[0]
        assert score.threshold is not None
        cut = opened.oof(opened.chosen.name)[name].to_numpy() >= score.threshold
        true = opened.train[name].to_numpy() == 1
        assert recall == pytest.approx(cut[true].mean())
        assert precision == pytest.approx(true[cut].mean())


def test_training_curves_have_a_pair_of_lines_per_net_and_fold(opened: Opened) -> None:
    lines = opened.figure("curves_words").axes[0].lines
    assert len(lines) == 2 * 2 * 3  # losses, nets, folds
    drawn = {tuple(np.asarray(line.get_ydata()).tolist()) for line in lines}
    assert drawn == {(1.0, 0.5, 1 / 3), (1.02, 0.54, 1 / 3 + 0.06)}
    assert opened.figure("curves_words").axes[0].get_xticks().tolist() == [1, 2, 3]


def test_the_leaderboard_has_what_was_expected_and_what_came(opened: Opened) -> None:
    figure, ledger = opened.figure("leaderboard"), opened.ledger
    assert shown_in_order(figure) == [f"{number} {source}" for number, source in ledger["source"].items()]
    assert points(figure, "public: came")[:, 0].tolist() == ledger["public"].tolist()
    assert points(figure, "private: came")[:, 0].tolist() == ledger["private"].tolist()
    assert points(figure, "validation")[:, 0].tolist() == ledger["validation"].tolist()
    for which in ("public", "private"):
        ranges = next(c for c in figure.axes[0].collections if str(c.get_label()).startswith(f"{which}: expected"))
        assert isinstance(ranges, LineCollection)
        found = [[segment[0][0], segment[1][0]] for segment in ranges.get_segments()]
        assert found == ledger[[f"{which}_low", f"{which}_high"]].to_numpy().tolist()
    shaken = opened.figure("public_private").axes[0].lines
    marks = [np.asarray(line.get_xydata()) for line in shaken]
    drawn = {(mark[0, 0], mark[0, 1]) for mark in marks if len(mark) == 1}
    assert drawn == set(zip(ledger["public"], ledger["private"], strict=True))


def test_without_private_scores_nothing_private_is_drawn(lived: Workspace) -> None:
    (lived.submissions / "ledger.sqlite").unlink()
    assert missing(compete.open(lived.root)) == {
        "What was expected, and what came": "nothing was submitted yet: `compete submit`, `compete scores`"
    }
    send(lived, ["words"])
    opened = compete.open(lived.root)
    assert "leaderboard" in opened.figures()
    assert missing(opened) == {"Public against private score": "no private score is revealed yet"}
    for name in ("scores", "leaderboard"):
        legend = opened.figure(name).axes[0].get_legend()
        assert legend is not None
        texts = [text.get_text() for text in legend.get_texts()]
        assert any(text.startswith("public") for text in texts)
        assert not any(text.startswith("private") for text in texts)


def test_a_submission_that_has_no_score_is_in_no_figure(lived: Workspace) -> None:
    (lived.submissions / "ledger.sqlite").unlink()
    text = lived.declaration.read_text(encoding="utf-8")
    lived.declaration.write_text(text.replace('solution = "solution.csv"\n', ""), encoding="utf-8")
    send(lived, ["words"])
    opened = compete.open(lived.root)
    assert not {"leaderboard", "public_private"} & set(opened.figures())
    assert missing(opened)["What was expected, and what came"].startswith("no submission has a score yet")
    assert {row.public for row in score_rows(opened)} == {None}


def test_rates_are_told_from_the_probabilities_before_they_were_corrected_for_them(
    untouched_shifted: Workspace, tmp_path: Path
) -> None:
    workspace = copied(untouched_shifted, tmp_path)
    for name in ("words", "words_smooth"):  # models good enough to tell
        recipe = f'family = "linear"\n[settings]\nword_ngrams = [1, 1]\nchar_ngrams = []\nC = {len(name)}\n'
        (workspace.recipes / f"{name}.toml").write_text(recipe, encoding="utf-8")
    for name, shift in (("moved", "true"), ("plain", "false")):
        recipe = f'method = "mean"\nlabel_shift = {shift}\n'
        (workspace.stack_recipes / f"{name}.toml").write_text(recipe, encoding="utf-8")
    train_models(workspace)
    build_stacks(workspace, ["moved", "plain"])
    opened = compete.open(workspace.root)
    moved, plain = opened.find("moved"), opened.find("plain")
    assert not np.allclose(opened.probabilities("moved").test, opened.probabilities("plain").test)
    corrected, uncorrected = (catalogues.estimated_test_rates(opened, shown) for shown in (moved, plain))
    assert corrected.told.any()
    assert corrected.record() == uncorrected.record()


def draw_everything(opened: Opened, but: Sequence[str] = ()) -> None:
    for name in [name for name in opened.figures() if name not in but]:
        assert svg(opened.figure(name), name).startswith("<svg")


@pytest.mark.parametrize("metric", ["roc_auc_macro", "log_loss", "f1_micro", "f1_samples"])
def test_every_figure_is_drawn_under_every_kind_of_metric(lived: Workspace, metric: str) -> None:
    declare(lived, f'metric = "{metric}"')
    assert set(compete.open(lived.root).stacked) == set()  # stacks are of another metric
    build_stacks(lived, leave_one_out=True)
    send(lived, ["words", "logistic"])
    reveal(lived)
    opened = compete.open(lived.root)
    assert set(opened.figures()) == EVERY
    # The same figure of another model, and what no metric changes: a report paints them all under the usual one.
    draw_everything(
        opened, [f"curves_{MODELS[0]}", f"curves_{MODELS[1]}", f"labels_{MODELS[1]}", f"labels_{ODD_STACK}"]
    )
    assert len(opened.figure("leaderboard").axes[0].get_yticklabels()) == 2  # not those of the other metric
    captions = " ".join(picture.caption for picture in catalogue(opened).pictures)
    decides = metric.startswith("f1")
    assert ("fitted on other folds" in captions) is decides
    assert ("decides nothing" in captions) is not decides
    assert len(opened.figure("co_occurrence").axes) == (3 if decides else 2)  # a colour bar, and one table or two


def test_the_cheapest_that_is_not_beaten_where_less_is_better(lived: Workspace) -> None:
    declare(lived, 'metric = "log_loss"')
    opened = compete.open(lived.root)
    dashed = next(line for line in opened.figure("cost").axes[0].lines if line.get_linestyle() == "--")
    losses = np.asarray(dashed.get_ydata())
    assert (np.diff(losses) <= 0).all()
    assert losses[-1] == min(shown.score.honest for shown in opened.base_models.values())


def test_a_fresh_workspace_has_the_figures_of_its_data(untouched: Workspace) -> None:
    opened = compete.open(untouched.root)
    assert opened.figures() == ALWAYS
    assert len(missing(opened)) == 8
    draw_everything(opened)


def test_one_model_alone(untouched: Workspace, tmp_path: Path) -> None:
    workspace = copied(untouched, tmp_path)
    train_models(workspace, ["words"])
    opened = compete.open(workspace.root)
    assert {"scores", "label_f1", "labels_words", "reliability"} <= set(opened.figures())
    assert not {"error_correlation", "leave_one_out", "cost", "curves_words"} & set(opened.figures())
    assert missing(opened)["Training curves"] == "no base model here trains in epochs"
    assert missing(opened)["How alike the base models err"] == "it takes two base models"
    draw_everything(opened)


def test_a_rare_label_and_a_constant_column(untouched: Workspace, tmp_path: Path) -> None:
    workspace = copied(untouched, tmp_path)
    for name in ("train", "sample", "solution"):
        rewrite(workspace.root / f"{name}.csv", {"anger": None})
    rewrite(workspace.root / "train.csv", {}, lambda number, row: {**row, "trust": str(int(number < 3))})
    competition = train_models(workspace)
    planned = with_plan(competition)
    for name, ids in (("oof", competition.train_ids), ("test", competition.test_ids)):
        pd.DataFrame({"id": ids, "joy": 0.25, "trust": 0.0}).to_csv(tmp_path / f"flat_{name}.csv", index=False)
    oof, test = (ImportedFile(tmp_path / f"flat_{name}.csv") for name in ("oof", "test"))
    import_model(planned, "flat", oof, test)
    opened = compete.open(workspace.root)
    assert list(opened.base_models) == ["words", "words_smooth", "flat"]
    assert {"label_f1", "labels_flat", "error_correlation", "reliability"} <= set(opened.figures())
    draw_everything(opened)
    (workspace.recipes / "words.toml").unlink()
    (workspace.recipes / "words_smooth.toml").unlink()
    opened = compete.open(workspace.root)
    assert opened.chosen is not None and opened.chosen.name == "flat"
    draw_everything(opened)
    of_test = next(c for c in opened.figure("label_rates").axes[0].containers if isinstance(c, ErrorbarContainer))
    assert not len(bars(of_test))  # a constant tells nothing, and nothing is shown


def test_of_very_many_rows_always_the_same_some_are_drawn(monkeypatch: pytest.MonkeyPatch, opened: Opened) -> None:
    monkeypatch.setattr(picture, "MOST_ROWS", 100)
    some = picture.some_rows(240)
    assert isinstance(some, np.ndarray)
    assert len(set(some.tolist())) == 100
    assert (np.diff(some) > 0).all()
    again = picture.some_rows(240)
    assert isinstance(again, np.ndarray) and np.array_equal(some, again)
    assert picture.some_rows(100) == slice(None)
    for name in ("reliability", "reliability_models", "precision_recall", "error_correlation"):
        assert opened.figure(name).axes
