"""How a workspace's results were made: versions, machines, seeds, fingerprints, commands, times."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from compete.base_models.recipes import AS_PUBLISHED, recipe_names
from compete.oof import store
from compete.reporting.view import View
from compete.stacking.leave_one_out import kept_contributions


@dataclass(frozen=True)
class Provenance:
    """How results were made."""

    versions: dict[str, str]
    """Library -> version, several where results were made with several."""
    machines: list[str]
    """What trained."""
    seeds: dict[str, str]
    """By name."""
    fingerprints: dict[str, str]
    """By name."""
    commands: list[str]
    """That make it all again."""
    seconds: float
    """Of training, all in all."""


def provenance(view: View) -> Provenance:
    made = [shown.record.get("made_by", {}) for shown in view.shown.values()]
    trained = [s.record.get("made_by", {}) for s in view.base_models.values() if s.record.get("kind") != "imported"]
    versions: dict[str, list[str]] = {}
    for each in made:
        for name, version in each.items():
            if name not in _MACHINE:
                versions.setdefault(name, [])
                versions[name] += [version] if version not in versions[name] else []
    return Provenance(
        versions={name: ", ".join(found) for name, found in versions.items()},
        machines=list(dict.fromkeys(text for each in trained if (text := _machine(each)))),
        seeds=_seeds(view),
        fingerprints=_fingerprints(view),
        commands=commands(view),
        seconds=sum(shown.seconds for shown in view.shown.values()),
    )


_MACHINE = ("machine", "cores", "gpu", "precision")


def _machine(made_by: Mapping[str, str]) -> str:
    cores = f"{made_by['cores']} cores" if "cores" in made_by else ""
    parts = (made_by.get("machine", ""), cores, made_by.get("gpu", ""), made_by.get("precision", ""))
    return ", ".join(part for part in parts if part)


def _seeds(view: View) -> dict[str, str]:
    declared = view.competition.declaration.folds
    seeds = {f"fold plan, K = {declared.k}": str(declared.seed)}
    trained = {name: s.record for name, s in view.base_models.items() if s.record.get("kind") != "imported"}
    return seeds | {name: str(record["identity"]["seed"]) for name, record in trained.items()}


def _fingerprints(view: View) -> dict[str, str]:
    found = dict(view.competition.fingerprints)
    if view.fold_plan is not None:
        found["fold plan"] = view.fold_plan.fingerprint
    return found | {
        f"{shown.title}, {file.name}": store.hash_of(shown.record, file)[:16]
        for shown in view.shown.values()
        for file in (shown.folder.oof, shown.folder.test)
    }


def commands(view: View) -> list[str]:
    """The commands that make again what is there, with the recipes and settings of today."""
    imported = [name for name, shown in view.base_models.items() if shown.record.get("kind") == "imported"]
    trained = [name for name in view.base_models if name not in imported]
    own = recipe_names(view.workspace)  # the others are trained as published
    published = [name.removesuffix(AS_PUBLISHED) for name in trained if name not in own]
    shipped = [name for name in trained if name in own]
    size = f" --size {view.workspace.size}" if view.workspace.size else ""
    left_one_out = any(kept_contributions(stack.folder, stack.record) for stack in view.stacked.values())
    used = {model for stack in view.stacked.values() for model in stack.record["models"]}
    without = "".join(f" --without {name}" for name in view.base_models if name not in used)
    stacked = f"compete stack {shlex.join(view.stacked)}{without}{' --leave-one-out' if left_one_out else ''}"
    found = ["compete folds"]
    found += [f"compete import {name} --oof OOF --test TEST" for name in imported]
    found += [f"compete train-base {shlex.join(shipped)}{size}"] if shipped else []
    found += [f"compete train-base {shlex.join(published)} --as-published{size}"] if published else []
    found += [f"{stacked}{size}"] if view.stacked else []
    return found
