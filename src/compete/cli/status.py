"""compete status"""

from __future__ import annotations

from collections.abc import Sequence

from compete.cli.options import JsonOption, SizeOption
from compete.competition.workspace import Workspace


def command(size: SizeOption = None, as_json: JsonOption = False) -> None:
    """Every base model: folds done, stale or fresh, honest score, training time."""
    from compete.cli.opening import here

    show_status(here(size), as_json=as_json)


def show_status(
    workspace: Workspace, only: Sequence[str] = (), *, warnings: bool = False, as_json: bool = False
) -> None:
    """Print the status table, of the named models or of all, and why something is stale or damaged.

    warnings: also what the training of each fold warned of.
    """
    from compete.cli.opening import console, print_json, say
    from compete.oof.guards import warning_lines
    from compete.oof.state import State
    from compete.oof.survey import survey
    from compete.reporting.records import status_record
    from compete.stacking.scores import whole_model_scores

    found = survey(workspace)
    states = {name: state for name, state in found.states.items() if not only or name in only}
    scores = whole_model_scores(workspace, found.declaration.metric, states, say)
    if as_json:
        print_json(status_record(found, states, scores))
    else:
        from compete.reporting.terminal.tables import status_table

        console().print(status_table(states, found.families, scores, found.metric_title))
    for change in found.plan_changes:
        say(f"the competition was edited after the fold plan was made: {change}")
    for name, state in states.items():
        if state.state in (State.STALE, State.DAMAGED, State.ORPHAN):
            say(f"{name} is {state.state}: {'; '.join(state.reasons)}")
        for line in warning_lines(state.warnings, len(state.parts)) if warnings else ():
            say(f"warning: {name}: {line}")
