"""Which base models are stacked, and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compete.competition.data import Competition
from compete.declarations import unknown_name
from compete.errors import StoreError, UserError
from compete.oof import store
from compete.oof.state import ModelState, State
from compete.stacking.inventory import Inventory


@dataclass(frozen=True)
class Members:
    """The base models of a stack."""

    names: list[str]
    left_out: dict[str, str]
    """Those that were passed over, each with the reason."""


# A model in these states is passed over unless it is asked for by name.
_LEFT_OUT = (State.MISSING, State.ORPHAN)


def choose_members(
    results: Inventory,
    named: Sequence[str] = (),
    without: Sequence[str] = (),
    *,
    everything: bool | None = None,
    named_in: Mapping[str, str] | None = None,
) -> Members:
    """The named base models, all that are trained (`everything`; default: if none is named), or both together.

    Raises StoreError for stale or damaged ones, and for named ones that are not whole. named_in: the files that name
    them, for the messages.
    """
    everything = not named if everything is None else everything
    states = results.states
    files = named_in or {}
    unknown = [
        f"{f'{files[name]}: ' if name in files else ''}no base model {name!r}; {unknown_name(name, states)}"
        for name in [*named, *without]
        if name not in states
    ]
    if unknown:
        raise UserError("\n".join(unknown))
    # What --all does not train is stacked if it was trained all the same, and not missed if it was not.
    unasked = [name for name, recipe in results.recipes.items() if not recipe.in_all]
    found = [n for n, s in states.items() if n not in unasked or s.folds_done or s.state is not State.MISSING]
    wanted = [*named, *(found if everything else [])]
    chosen = {name: s for name, s in states.items() if name in wanted and name not in without}
    _refuse_unusable(chosen, named, files)
    missing = {name: _missing(state) for name, state in chosen.items() if state.state in _LEFT_OUT}
    names = [name for name in chosen if name not in missing]
    if len(names) < 2:
        raise UserError(
            f"a stack needs at least two base models, and there {'is one' if names else 'is none'}"
            + (f" ({names[0]}: `compete submit {names[0]}` sends it alone)" if names else "")
            + "".join(f"\n  {name}: {reason}" for name, reason in missing.items())
            + "\nTrain more with `compete train-base --all`, or bring some with `compete import`."
        )
    return Members(names, {**missing, **dict.fromkeys(without, "left out as asked")})


def read_members(competition: Competition, members: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """OOF (n_models, n_train, n_labels) and test (n_models, n_test, n_labels) of whole base models."""
    folders = [competition.workspace.base_model(name) for name in members]
    read = [store.read_model(folder, competition.shape) for folder in folders]
    return np.stack([p.oof for p in read]), np.stack([p.test for p in read])


def _refuse_unusable(states: dict[str, ModelState], named: Sequence[str], files: Mapping[str, str]) -> None:
    damaged = [reason for s in states.values() if s.state is State.DAMAGED for reason in s.reasons]
    if damaged:
        raise StoreError("\n".join(damaged))
    stale = {name: s for name, s in states.items() if s.state is State.STALE}
    if stale:
        raise StoreError(
            "stale base models are not stacked\n"
            + "\n".join(f"  {name}: {'; '.join(s.reasons)}" for name, s in stale.items())
            + "\nTrain them again with `compete train-base` (after an edit of the competition with --replace-stale), "
            + "or leave them out with "
            + " ".join(f"--without {name}" for name in stale)
        )
    missing = {name: s for name, s in states.items() if name in named and s.state in _LEFT_OUT}
    if missing:
        raise StoreError(
            "\n".join(
                f"{name}{f', which {files[name]} names' if name in files else ''}: {_missing(s)}; "
                f"`compete train-base {name}`"
                for name, s in missing.items()
            )
        )


def _missing(state: ModelState) -> str:
    if state.state is State.ORPHAN:
        return state.reasons[0]
    return state.how_far
