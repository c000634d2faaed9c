"""What `compete tune` tried, and what cheaper tunings are worth."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from compete.experiments.tuning.proxies import FEWEST, Proxy
from compete.experiments.tuning.stored import StudyRecord, Trial
from compete.reporting.durations import time_text
from compete.reporting.terminal.plain_table import PlainTable, broken
from compete.score_text import score_text

_SHOWN = 8


def trials_table(study: StudyRecord, metric: str) -> Table:
    """The best trials of a study, and the recipe's own settings, wherever they stand."""
    table = PlainTable("settings")
    for title in ("trial", f"validation\n{broken(metric)}", "time"):
        table.add_number(title)
    sign = 1 if study.about.greater_is_better else -1
    ranked = sorted(study.done, key=lambda trial: (-sign * (trial.score or 0.0), trial.number))
    for trial in ranked:
        if trial in ranked[:_SHOWN] or trial.shipped:
            table.add_row(
                escape(settings_text(trial)),
                str(trial.number),
                score_text(trial.score),
                time_text(trial.seconds),
                style="bold" if trial is ranked[0] else None,
            )
    return table


def settings_text(trial: Trial) -> str:
    """'C = 2.3, min_df = 1', or that they are the recipe's own."""
    told = ", ".join(f"{name} = {_value(value)}" for name, value in trial.settings.items())
    return f"as shipped: {told}" if trial.shipped else told


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def proxies_table(proxies: Sequence[Proxy]) -> Table:
    """Cheaper tunings, and how alike they ranked what the full one tried too."""
    table = PlainTable("cheaper tuning", numbers=["seed", "settings\nin both", "rank\ncorrelation", "cost"])
    for proxy in proxies:
        table.add_row(
            escape(proxy.what),
            str(proxy.seed),
            str(proxy.common),
            "unknown" if proxy.correlation is None else f"{proxy.correlation:.2f}",
            "unknown" if proxy.cost is None else f"{proxy.cost:.0%}",
        )
    return table


def proxy_sentence(proxies: Sequence[Proxy]) -> str:
    """What is not known of them; empty where everything is."""
    if all(proxy.correlation is not None for proxy in proxies):
        return ""
    return (
        f"unknown: fewer than {FEWEST} settings were scored by it and by the full tuning, with all rows and folds, in "
        "this workspace; the same command without --rows, --folds and --size measures it"
    )
