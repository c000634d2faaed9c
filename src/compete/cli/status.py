"""compete status"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compete.cli.options import JsonOption, SizeOption

if TYPE_CHECKING:
    from compete.workflows.status import Status


def command(size: SizeOption = None, as_json: JsonOption = False) -> None:
    """Every base model: folds done, stale or fresh, honest score, training time."""
    from compete.cli.opening import here
    from compete.workflows.status import status

    show(status(here(size)), as_json=as_json)


def show(found: Status, *, warnings: bool = False, as_json: bool = False) -> None:
    """Print the status table, and why something is stale or damaged.

    warnings: also what the training of each fold warned of.
    """
    from compete.cli.opening import console, print_json, say
    from compete.reporting.records import status_record

    survey, states = found.survey, found.states
    if as_json:
        print_json(status_record(survey, states, found.scores))
    else:
        from compete.reporting.terminal.tables import status_table

        console().print(status_table(states, survey.families, found.scores, survey.metric_title))
    for sentence in found.notices(warnings=warnings):
        say(sentence)
