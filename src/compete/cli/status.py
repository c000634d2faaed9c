"""compete status"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compete.cli.options import JsonOption, SizeOption

if TYPE_CHECKING:
    from compete.workflows.status import Status


def command(
    size: SizeOption = None,
    provenance: Annotated[
        bool, typer.Option("--provenance", help="Also what the model of every fold has seen, and through what.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Every base model: folds done, stale or fresh, honest score, training time."""
    from compete.cli.opening import here
    from compete.workflows.status import status

    show(status(here(size)), provenance=provenance, as_json=as_json)


def show(found: Status, *, warnings: bool = False, provenance: bool = False, as_json: bool = False) -> None:
    """Print the status table, and why something is stale or damaged.

    warnings: also what the training of each fold warned of. provenance: also what each fold's model has seen.
    """
    from compete.cli.opening import console, print_json, say
    from compete.reporting.records import status_record

    survey, states = found.survey, found.states
    if as_json:
        print_json(status_record(survey, states, found.scores, provenance=provenance))
    else:
        from compete.reporting.terminal.tables import provenance_table, status_table

        console().print(status_table(states, survey.families, found.scores, survey.metric_title))
        if provenance:
            console().print(provenance_table(states))
    for sentence in found.notices(warnings=warnings):
        say(sentence)
