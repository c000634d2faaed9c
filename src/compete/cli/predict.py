"""compete predict"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compete.cli.options import SizeOption


def command(
    file: Annotated[Path, typer.Argument(help="Table with the columns of the test file: id and text.")],
    what: Annotated[
        str | None, typer.Argument(help="A stack or a base model; default: the stack that was chosen.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV to write.")] = Path("predictions.csv"),
    decisions: Annotated[
        bool, typer.Option("--decisions", help="Write 0 and 1, cut at the thresholds, instead of probabilities.")
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads to use; default: all cores.")] = None,
    size: SizeOption = None,
) -> None:
    """Score new texts with the models that training kept."""
    import numpy as np
    from numpy.typing import NDArray

    from compete import atomic
    from compete.cli.opening import console, exclusively, here, load, say
    from compete.competition.data import read_new_texts
    from compete.execution.local import usable_cores
    from compete.oof.train import current_plan
    from compete.stacking.ensemble.decision_rules import decision_from
    from compete.stacking.predict import predict_base_model, predict_stack
    from compete.stacking.recipes import load_stack_recipe, stack_names
    from compete.submissions.csv_file import Form, render
    from compete.submissions.sources import choose_source

    workspace = here(size)
    with exclusively(workspace, reading=True):
        competition = load(workspace)
        plan = current_plan(competition)
        ids, texts = read_new_texts(file, competition.declaration.data)
        source = choose_source(competition, plan, what)
        with console().status(f"{len(texts)} texts") as status:

            def show(doing: str) -> None:
                status.update(f"{len(texts)} texts: {doing}")

            cores = threads or usable_cores()
            if source.name in stack_names(workspace):
                recipe = load_stack_recipe(workspace, source.name)
                probabilities = predict_stack(competition, plan, recipe, texts, cores, show)
            else:
                probabilities = predict_base_model(competition, plan, source.name, texts, cores, show)
        values: NDArray[np.generic] = probabilities
        if decisions:
            values = decision_from(source.score.decision).decide(probabilities)
        form = Form([competition.declaration.data.id, *competition.labels], ids, decisions)
        atomic.write_bytes(output, render(form, ids, competition.labels, values))
        say(f"{output}: {len(ids)} rows, {'decisions' if decisions else 'probabilities'} of {source.title}")
