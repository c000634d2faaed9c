"""The tables of a study: a row per arm, a row per difference."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from compete.experiments.studies.study import Study
from compete.reporting.durations import time_text
from compete.reporting.terminal.plain_table import PlainTable, broken
from compete.score_text import range_text, score_text


def study_table(study: Study) -> Table:
    """Means over the repeats; of folds beside the rows aside, of settings with the spread over seeds."""
    of_folds = study.kind == "folds"
    numbers = [f"honest\n{broken(study.metric.title)}"]
    numbers += ["aside:\none", "aside:\nmean", "honest\n- mean", "RMSE"] if of_folds else ["sd of\nseeds"]
    output = "label" if study.metric.kind in ("labels", "classes") else "target"
    table = PlainTable("K" if of_folds else study.setting or "recipe", numbers=[*numbers, f"sd per\n{output}", "time"])
    for title, row in study.table.iterrows():
        honest = float(row["honest"])
        shown = [score_text(honest)]
        if of_folds:
            shown += [score_text(float(row["one_aside"])), score_text(float(row["mean_aside"]))]
            shown += [score_text(float(row["error"]), honest, sign=True), score_text(float(row["rmse"]), honest)]
        else:
            shown.append(_known(row["deviation"], honest))
        table.add_row(
            escape(str(title).removeprefix("K = ")),
            *shown,
            _known(row["spread"], honest),
            time_text(float(row["seconds"])),
        )
    return table


def _known(value: float | None, like: float) -> str:
    return score_text(None if value is None or value != value else float(value), like)


def difference_table(study: Study) -> Table:
    """Every arm against the reference: how much better it is, with the interval."""
    reference = escape(study.reference.title)
    table = PlainTable(f"against {reference}", "better by", numbers=["gain", "interval", "more than\nnoise"])
    words = {"aside": "score aside", "error": "nearness of honest", "flatters": "promises more", "honest": "honest"}
    for each in study.comparisons:
        gain, like = each.difference, float(study.table["honest"].iloc[0])
        table.add_row(
            escape(each.arm.title),
            words[each.measure],
            score_text(gain.gain, like, sign=True),
            range_text(gain.low, gain.high),
            "yes" if gain.called else "no",
        )
    return table
