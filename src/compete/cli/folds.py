"""compete folds"""

from __future__ import annotations


def command() -> None:
    """Show the fold plan: rows and label rates of every fold. Makes the plan if there is none."""
    from compete.cli.opening import console, exclusively, here, load
    from compete.competition.folds import fold_table, plan_file
    from compete.oof.train import current_plan
    from compete.reporting.tables import fold_rates_table

    workspace = here()
    with exclusively(workspace):
        competition = load(workspace)
        plan = current_plan(competition)
    rows = [len(competition.train_ids), *(len(plan.rows(fold)) for fold in range(plan.k))]
    out = console()
    out.print(fold_rates_table(competition.labels, fold_table(competition, plan), rows))
    out.print(f"{workspace.shown(plan_file(workspace))}, fingerprint {plan.fingerprint}")
