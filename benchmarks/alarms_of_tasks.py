"""How often the alarms of `compete stack` accuse honest models of classes and of numbers, and find planted leaks.

    python benchmarks/alarms_of_tasks.py [--count 200]
    python benchmarks/alarms_of_tasks.py --workspace DIR [--draws 5]

Workspaces are made up, as in benchmarks/alarms.py: 2,000 to 50,000 rows, 3, 7 or 28 classes or 1, 2 or 5 targets, 2 to
6 models of unlike strength (AUC of a class 0.55 to 0.95, correlation 0.2 to 0.85) and temper; a test row is the mean of
five models. Then each leak is planted in the last model.

--workspace: the base models that are trained in a workspace of real data, of classes, numbers or grades; every two and
more of them are looked at as they are, then each leak is planted in each of them, beside all the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.logits import softmax
from compete.oof.fold_plan import under_stored_plan
from compete.oof.state import State
from compete.oof.store import read_model
from compete.stacking.ensemble.alarms import find_alarms
from compete.stacking.ensemble.number_alarms import find_number_alarms
from compete.stacking.inventory import Inventory

FOLDS = 5
Which = Literal["classes", "numbers"]


@dataclass(frozen=True)
class Played:
    """Base models: oof (n_models, n_rows, n_outputs), test (n_models, n_test, n_outputs)."""

    which: Which
    oof: NDArray[np.float32]
    test: NDArray[np.float32]
    truth: NDArray[Any]
    folds: NDArray[np.int16]

    def accused(self) -> list[str]:
        """What is said, and of which model."""
        names = [f"m{number}" for number in range(len(self.oof))]
        outputs = [f"o{number}" for number in range(self.truth.shape[1])]
        find = find_alarms if self.which == "classes" else find_number_alarms
        return [str(alarm) for alarm in find(names, self.oof, self.test, self.truth, self.folds, outputs)]

    def with_last(self, oof: NDArray[Any], test: NDArray[Any]) -> Played:
        """The same with another model in place of the last."""
        oofs, tests = self.oof.copy(), self.test.copy()
        oofs[-1], tests[-1] = oof, test
        return replace(self, oof=oofs, test=tests)


def made_up(which: Which, seed: int) -> Played:
    """An honest workspace, every one of another shape."""
    random = np.random.default_rng([seed, len(which)])
    n_rows = int(random.choice([2000, 8000, 50_000], p=[0.55, 0.4, 0.05]))
    sizes = (n_rows, max(500, n_rows // 3))
    if which == "classes":
        n_outputs = int(random.choice([3, 7, 28], p=[0.4, 0.4, 0.2]))
        rates = random.dirichlet(np.full(n_outputs, 2.0)) * 0.8 + 0.2 / n_outputs
        truths = [np.eye(n_outputs)[random.choice(n_outputs, size=n, p=rates)] for n in sizes]
        start = np.log(rates)
    else:
        n_outputs = int(random.choice([1, 2, 5]))
        mixed = np.eye(n_outputs) + 0.4
        truths = [random.normal(size=(n, n_outputs)) @ mixed for n in sizes]
        start = np.zeros(n_outputs)
    hard = [random.normal(size=truth.shape) for truth in truths]  # what no model of these rows can know
    cells: list[list[NDArray[np.float32]]] = [[], []]
    for _ in range(int(random.integers(2, 7))):
        knows, own, slope = random.uniform(0.3, 2.0), random.uniform(0.3, 1.5), np.exp(random.normal(scale=0.5))
        for each, models in enumerate((1, FOLDS)):
            centred, total = knows * truths[each] + hard[each] + start, np.zeros(truths[each].shape)
            for _ in range(models):
                z = slope * (centred + own * random.normal(size=centred.shape))
                total += softmax(z) if which == "classes" else z
            cells[each].append((total / models).astype(np.float32))
    folds = (random.permutation(n_rows) % FOLDS).astype(np.int16)
    truth = truths[0].astype(np.int8 if which == "classes" else np.float32)
    return Played(which, np.stack(cells[0]), np.stack(cells[1]), truth, folds)


def planted(played: Played, random: np.random.Generator) -> Iterator[tuple[str, Played]]:
    """Damage of the last model, kind by kind."""
    oof, test, truth = played.oof[-1], played.test[-1], played.truth
    knowing = 0.03 * oof + 0.97 * truth if played.which == "classes" else truth + 0.05 * oof
    yield "knows every row", played.with_last(knowing, test)
    yield "knows one fold", played.with_last(np.where((played.folds == 2)[:, None], knowing, oof), test)
    if truth.shape[1] > 1:
        order = np.arange(truth.shape[1])
        two = np.argsort(-truth.std(axis=0))[:2]
        order[two] = order[two[::-1]]
        yield "two columns swapped", played.with_last(oof[:, order], test)
        yield "two columns swapped in the test set", played.with_last(oof, test[:, order])
    turned = 1 - oof if played.which == "classes" else -oof
    yield (
        "turned around",
        played.with_last(turned / turned.sum(axis=1, keepdims=True), test)
        if (played.which == "classes")
        else played.with_last(turned, test),
    )
    yield "test rows in another order", played.with_last(oof, test[random.permutation(len(test))])


def trained(folder: Path) -> tuple[list[str], Played]:
    """What the base models of a workspace predict, and their names."""
    planned = under_stored_plan(load_competition(Workspace(folder)))
    competition = planned.competition
    inventory = Inventory(planned)
    names = [name for name, state in inventory.states.items() if state.whole.state is State.FRESH]
    read = [read_model(planned.workspace.base_model(name), competition.shape) for name in names]
    which: Which = "classes" if competition.task.kind == "classes" else "numbers"
    oof, test = np.stack([each.oof for each in read]), np.stack([each.test for each in read])
    return names, Played(which, oof, test, competition.train_targets, planned.plan.folds)


def of_a_workspace(folder: Path, draws: int) -> None:
    """Print a Markdown table of real models."""
    names, all_of_them = trained(folder)
    honest = [
        replace(all_of_them, oof=all_of_them.oof[list(some)], test=all_of_them.test[list(some)])
        for size in range(2, len(names) + 1)
        for some in combinations(range(len(names)), size)
    ]
    counts: dict[str, list[bool]] = {"honest": [bool(played.accused()) for played in honest]}
    last = f"m{len(names) - 1}:"
    for turn in range(len(names)):
        order = np.roll(np.arange(len(names)), turn)
        turned = replace(all_of_them, oof=all_of_them.oof[order], test=all_of_them.test[order])
        for draw in range(draws):
            for kind, damaged in planted(turned, np.random.default_rng([turn, draw])):
                found = any(line.startswith(last) for line in damaged.accused())
                counts.setdefault(kind, []).append(found)
                if not found:
                    print(f"not found: {kind}, {names[order[-1]]}", flush=True)
    n_rows, n_outputs = all_of_them.truth.shape
    print(f"\n{', '.join(names)}: {n_rows} rows, {n_outputs} outputs\n\n| workspace | accused | of |\n|---|---|---|")
    for kind, found_ in counts.items():
        print(f"| {kind} | {sum(found_)} | {len(found_)} |")


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--draws", type=int, default=5, help="with --workspace: plantings of each kind in each model")
    options = parser.parse_args()
    if options.workspace is not None:
        of_a_workspace(options.workspace, options.draws)
        return
    whiches: tuple[Which, ...] = ("classes", "numbers")
    counts: dict[tuple[str, str], list[bool]] = {}
    for which in whiches:
        for seed in range(options.count):
            played = made_up(which, seed)
            accused = played.accused()
            if accused:
                shape = f"{played.truth.shape[1]} outputs, {len(played.truth)} rows"
                print(f"{which}, honest and accused, seed {seed}, {shape}: {accused}", flush=True)
            counts.setdefault((which, "honest"), []).append(bool(accused))
            if seed % 5 == 0:
                for kind, damaged in planted(played, np.random.default_rng(seed)):
                    last = f"m{len(played.oof) - 1}:"
                    found = any(line.startswith(last) for line in damaged.accused())
                    counts.setdefault((which, kind), []).append(found)
    print("\n| outputs | workspace | accused | of |\n|---|---|---|---|")
    for (which_, kind), found_ in counts.items():
        print(f"| {which_} | {kind} | {sum(found_)} | {len(found_)} |")


if __name__ == "__main__":
    main()
