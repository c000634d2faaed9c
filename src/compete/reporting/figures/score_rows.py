"""What the figures and tables of scores are made of: a row per model or stack, a row per submission."""

from __future__ import annotations

from compete.oof.results import Result, probabilities_hash
from compete.reporting.figures.score_figures import ScoreRow, SubmissionRow
from compete.reporting.view import View
from compete.submissions.ledger import Outcome


def score_rows(view: View) -> list[ScoreRow]:
    """Base models and stacks, the best first, with the scores of the last submission of each."""
    rows = []
    for shown in view.ranked:
        outcome, score = _last_outcome(view, shown), shown.score
        rows.append(
            ScoreRow(
                name=shown.name,
                is_stack=shown.is_stack,
                honest=score.honest,
                interval=(score.low, score.high),
                naive=score.naive,
                public=outcome.public if outcome else None,
                private=outcome.private if outcome else None,
                hours=shown.seconds / 3600,
            )
        )
    return rows


def _last_outcome(view: View, shown: Result) -> Outcome | None:
    """Of the last submission that has a score and was made of just these probabilities, not of earlier ones."""
    made_of = probabilities_hash(shown)
    found = [
        entry.outcome
        for entry in view.entries
        if entry.submission.is_of(shown.title)
        and (entry.submission.probabilities, entry.submission.metric) == (made_of, view.metric)
        and entry.outcome.public is not None
    ]
    return found[-1] if found else None


def submission_rows(view: View) -> list[SubmissionRow]:
    """Submissions that have a public score in the competition's metric, oldest first."""
    rows = []
    several = len({entry.submission.target for entry in view.entries}) > 1
    for entry in view.entries:
        sent, outcome = entry.submission, entry.outcome
        if outcome.public is not None and sent.metric == view.metric:
            rows.append(
                SubmissionRow(
                    f"{entry.number} {sent.source}" + (f" ({sent.target})" if several else ""),
                    sent.validation,
                    outcome.public,
                    outcome.private,
                    _range(sent.public_low, sent.public_high),
                    _range(sent.private_low, sent.private_high),
                )
            )
    return rows


def _range(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)
