"""compete folds"""

from __future__ import annotations

from compete.cli.options import JsonOption


def command(as_json: JsonOption = False) -> None:
    """Show the fold plan: rows and label rates of every fold, or means of numbers. Makes the plan if there is none."""
    from compete.cli.opening import console, here, print_json, say
    from compete.reporting.records import folds_record
    from compete.reporting.terminal.tables import fold_means_table, fold_rates_table
    from compete.workflows.folds import folds

    workspace = here()
    found, file = folds(workspace, say=say), workspace.shown(workspace.fold_plan)
    plan, labels = found.planned.plan, found.planned.competition.labels
    if as_json:
        print_json(folds_record(plan, file, found.rows, found.parts, found.planned.learnt.too_rare))
        return
    out = console()
    if found.rates:
        out.print(fold_rates_table(found.rated, found.rates, found.rows))
    else:
        out.print(fold_means_table(labels, found.means, found.spreads, found.rows))
    out.print(f"{file}, fingerprint {plan.fingerprint}")
