"""compete folds"""

from __future__ import annotations

from compete.cli.options import JsonOption


def command(as_json: JsonOption = False) -> None:
    """Show the fold plan: rows and label rates of every fold. Makes the plan if there is none."""
    from compete.cli.opening import console, exclusively, here, load, print_json, say
    from compete.competition.folds import fold_table, large_groups, plan_file
    from compete.oof.rare_labels import learnt_labels, rare_sentence
    from compete.oof.train import current_plan
    from compete.reporting.records import folds_record
    from compete.reporting.terminal.tables import fold_rates_table

    workspace = here()
    with exclusively(workspace, reading=True):
        competition = load(workspace)
        plan = current_plan(competition)
    rows = [len(competition.train_ids), *(len(plan.rows(fold)) for fold in range(plan.k))]
    rates, file = fold_table(competition, plan), workspace.shown(plan_file(workspace))
    for count, text in large_groups(competition.train_texts):
        shown = text if len(text) <= 60 else f"{text[:59]}…"
        say(f"{count} rows have nearly the same text and share a fold: {shown!r}")
    learnt = learnt_labels(competition, plan.k)
    if (rare := rare_sentence(learnt, plan.k)) is not None:
        say(rare)
    if as_json:
        print_json(folds_record(plan, file, competition.labels, rates, rows, learnt.too_rare))
        return
    out = console()
    out.print(fold_rates_table(competition.labels, rates, rows))
    out.print(f"{file}, fingerprint {plan.fingerprint}")
