"""A rehearsal: part of the training rows plays the test set, so that every promise can be held against the truth.

The rest of the rows makes a workspace of its own, in rehearsals/, with the same recipes, where everything is trained
anew: nothing in it saw a row that was held out. Submissions go to a local leaderboard under the daily limit, and at the
end the private scores are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compete.allowed_code import check_allowed
from compete.competition.data import load_competition
from compete.competition.metrics import Metric
from compete.competition.planned import Planned
from compete.competition.workspace import Workspace
from compete.errors import SubmissionError, UserError
from compete.oof.fold_plan import with_plan
from compete.oof.lock import held
from compete.oof.work import choose_recipes, find_work, train
from compete.score_text import score_text
from compete.stacking.building import open_stacking
from compete.stacking.inventory import Inventory
from compete.stacking.scoring import base_model_score
from compete.stacking.stack_recipes import StackRecipe, load_with_parts, stack_names
from compete.submissions import sending
from compete.submissions.leaderboard.finalists import Finalists, choose_finalists
from compete.submissions.leaderboard.interpretation import read_scores
from compete.submissions.ledger import Entry, ledger_of
from compete.submissions.sending import Permissions, prepare
from compete.submissions.targets import local_leaderboard
from compete.workflows.executors import crew_for
from compete.workflows.held_out import workspace_without
from compete.workflows.session import Say, load, locked, silent, stopping_said
from compete.workflows.stack import build_all, choose_and_remember, suitable

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Rehearsal:
    """What was played, and what came of it."""

    workspace: Workspace
    metric: Metric
    entries: list[Entry]
    """What was submitted, private scores revealed."""
    finalists: Finalists | None
    """None where fewer than two could be compared."""
    not_sent: list[str]
    """Why others were not submitted."""

    @property
    def reading(self) -> list[str]:
        """What the scores mean, a sentence each."""
        return read_scores(self.entries, self.metric.sign)

    @property
    def summary(self) -> list[str]:
        """What the rehearsal showed, in sentences."""
        return _summary(self)

    @property
    def table(self) -> pd.DataFrame:
        """A row per submission, by number."""
        from compete.reporting.frames import ledger_frame

        return ledger_frame(self.entries)


def rehearse(
    workspace: Workspace,
    models: Sequence[str] = (),
    *,
    stacks: Sequence[str] = (),
    share: float = 0.2,
    seed: int = 0,
    workers: int | None = None,
    say: Say = silent,
) -> Rehearsal:
    """Play the competition with `share` of its training rows as the test set; seed: which rows those are.

    models, stacks: default: those of --all, and every stack recipe. What is best by honest score is submitted first,
    until the daily limit is spent. Raises UserError if there is nothing to play with.
    """
    if not 0.02 <= share <= 0.5:
        raise UserError(f"share = {share}: from 0.02 to 0.5 of the training rows can be held out")
    if seed < 0:
        raise UserError(f"seed = {seed}: it is 0 or more")

    def waiting() -> None:
        say(f"another command plays the rehearsal of seed {seed}: waiting until it has ended (Ctrl-C gives up)")

    # Not the workspace's lock, but while it is read: a rehearsal takes hours, and plays in a workspace of its own.
    with stopping_said(say), held(workspace.rehearsal_lock(seed), waiting):
        with locked(workspace, say):
            competition = load(workspace, say)
            recipes = choose_recipes(competition, models)
            for recipe in recipes:
                recipe.refuse_unopenable()
            crew = crew_for(recipes, workers)
            # Asked before anything is trained, as stack recipes are read: a mistake in them does not cost hours.
            if (own := competition.declaration.own_metric) is not None:
                check_allowed(workspace.root / own[0])
            of_stacks = load_with_parts(workspace, stacks or stack_names(workspace))
            if of_stacks and not stacks:
                of_stacks = suitable(of_stacks, competition.task.kind, say)
            names = [recipe.name for recipe in recipes]
            played = load_competition(workspace_without(competition, recipes, share, seed))
        say(f"training {', '.join(names)} on {len(played.train_ids)} rows")
        # Chosen again: the workspace that is played has copies of the recipes, which its models are made of.
        train(find_work(played, choose_recipes(played, names), threads=crew.threads, parity=False), crew.executor)
        planned = with_plan(played)
        best_first = _by_honest_score(planned, names, _build(planned, of_stacks, names, say))
        not_sent = _submit(planned, best_first, say)
        entries = local_leaderboard(played).reveal(ledger_of(played.workspace))
    try:
        found = choose_finalists(played, entries)  # it does not look at private scores
    except UserError:
        found = None
    return Rehearsal(played.workspace, played.metric, entries, found, not_sent)


def _build(planned: Planned, stacks: Sequence[StackRecipe], models: Sequence[str], say: Say) -> dict[str, float]:
    """Honest scores of the stacks, built over all models; none where there is a single model."""
    if len(models) < 2 or not stacks:
        return {}
    recipes = load_with_parts(planned.workspace, [recipe.name for recipe in stacks])
    # The rows were looked at before they were divided: an alarm would say nothing new.
    stacking = open_stacking(planned, recipes, list(models), list(models))
    say(f"stacking: {', '.join(recipe.name for recipe in recipes)}")
    built = build_all(stacking, recipes)
    choose_and_remember(stacking, built)
    return {each.recipe.name: each.score.honest for each in built}


def _by_honest_score(planned: Planned, models: Iterable[str], stacks: dict[str, float]) -> list[str]:
    scores = {name: base_model_score(planned, name).honest for name in models} | stacks
    return sorted(scores, key=lambda name: -planned.competition.metric.sign * scores[name])


def _submit(planned: Planned, names: Sequence[str], say: Say) -> list[str]:
    """Submit the best ones of a day; why others were not."""
    competition, refused, results = planned.competition, [], Inventory(planned)
    target, allowed = local_leaderboard(competition), Permissions(constant=True)
    for name in names:
        say(f"submitting {name}")
        try:
            sending.submit(competition, prepare(planned, results.find(name), target.name), target, allowed=allowed)
        except SubmissionError as error:
            refused.append(f"{name}: {error}")
    if not ledger_of(planned.workspace).entries():
        raise SubmissionError("\n".join(refused))
    return refused


def _summary(found: Rehearsal) -> list[str]:
    sign = found.metric.sign
    held = [e for e in found.entries if _within(e.outcome.public, e.submission.public_low, e.submission.public_high)]
    private = [
        e for e in found.entries if _within(e.outcome.private, e.submission.private_low, e.submission.private_high)
    ]
    lines = [
        f"public scores in the range that was promised: {len(held)} of {len(found.entries)}; private: {len(private)}",
    ]
    best = max(found.entries, key=lambda e: sign * _private(e))
    if found.finalists is not None:
        both = [found.finalists.first.entry.number, found.finalists.second.entry.number]
        chosen = [e for e in found.entries if e.number in both]
        earned = max(chosen, key=lambda e: sign * _private(e))
        lines.append(
            f"finalists: {' and '.join(e.submission.source for e in chosen)} would have earned "
            f"{score_text(earned.outcome.private)}; the best of all was {best.submission.source}, "
            f"{score_text(best.outcome.private)}"
        )
    return lines


def _private(entry: Entry) -> float:
    assert entry.outcome.private is not None  # a rehearsal ends with all of them revealed
    return entry.outcome.private


def _within(value: float | None, low: float | None, high: float | None) -> bool:
    return value is not None and low is not None and high is not None and low <= value <= high
