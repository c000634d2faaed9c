"""The table of `compete reproduce`: figure 1 of the report, and what came of training its models again."""

from __future__ import annotations

import math

import pandas as pd
from rich.markup import escape
from rich.table import Table

from compete.reporting.durations import time_text
from compete.reporting.terminal.plain_table import PlainTable
from compete.score_text import range_text, score_text


def reproduction_table(found: pd.DataFrame) -> Table:
    """Published validation and Kaggle score, the same validation again, the honest score with its 95 % interval."""
    table = PlainTable(
        "macro-F1", "split", numbers=["published", "Kaggle", "reproduced", "honest", "95 % interval", "time"]
    )
    for name, row in found.iterrows():
        numbers = [
            None if math.isnan(row[key]) else float(row[key])
            for key in ("published", "kaggle", "reproduced", "honest", "low", "high")
        ]
        table.add_row(
            escape(str(name)),
            escape(str(row["split"]).replace("MultilabelStratifiedKFold", "stratified")),
            *(score_text(number) for number in numbers[:4]),
            range_text(numbers[4], numbers[5]),
            "-" if math.isnan(row["seconds"]) else time_text(float(row["seconds"])),
        )
    return table
