"""What the models need, before anything is downloaded: memory, disk, licence, and whether they fit here."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compete import atomic
from compete.base_models.recipes import Recipe, load_recipes, recipe_names
from compete.competition.declaration import CompetitionDeclaration, read_declaration
from compete.competition.workspace import Workspace
from compete.errors import CompeteError, UserError
from compete.execution.devices import find_devices
from compete.execution.inline import InlineExecutor
from compete.execution.jobs import Failed, Job
from compete.execution.local import LocalExecutor, gpu_ids, usable_cores
from compete.oof.work import default_workers
from compete.planning.cards import Asked, absent_devices, parse_device
from compete.planning.schedule import Schedule, schedule
from compete.times import seconds_of
from compete.workflows.session import Say, load, silent

if TYPE_CHECKING:  # torch, which a mistyped name is found before
    import pandas as pd

    from compete.planning.model_plan import Downloads, Hardware, Machine, ModelPlan, Rows
    from compete.planning.probe import Probe, Probed

_USUAL_LABELS = 10


@dataclass(frozen=True)
class Requirements:
    """Of every model, on a machine."""

    plans: Sequence[ModelPlan]
    machine: Machine
    probed: Mapping[str, Probed]
    """What came of the probes, by model; empty where none was asked for."""
    downloads: Downloads
    together: Schedule | None = None
    """Of all models with an estimate, but for those outside of `--all`; None where there is none."""
    left_out: Sequence[str] = ()
    """Models with an estimate that are outside of `--all`, where others are planned."""

    @property
    def table(self) -> pd.DataFrame:
        """A row per model and device: bytes it takes, whether it fits, what would make it fit, hours of all folds."""
        from compete.reporting.frames import needs_frame

        return needs_frame(self.plans, self.probed)


@contextlib.contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Reading a configuration needs none of what these miss."""
    loggers = [logging.getLogger(library) for library in ("bitsandbytes", "transformers")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@_quiet_libraries()
def plan(
    workspace: Workspace,
    names: Sequence[str] = (),
    *,
    probe: bool = False,
    workers: int | None = None,
    device: str | None = None,
    session: str | None = None,
    say: Say = silent,
) -> Requirements:
    """Of the named recipes, or of all.

    probe: train a few steps of each model for real, and estimate the hours. workers: jobs at once on the processor;
    default: one per core. 0: in this process. device: "2x T4", "A100-80", "cpu": in place of what is here.
    session: "12h", "90m": how long such a machine may be had at a time.
    """
    asked = None if device is None else parse_device(device)
    hours = None if session is None else _session_hours(session)
    if probe and asked is not None:
        raise UserError("--probe trains on what is here, and --device plans for something else: leave one of them out")
    recipes = load_recipes(workspace, list(dict.fromkeys(names)) or recipe_names(workspace))
    if not recipes:
        raise UserError("base_models/ holds no recipe: `compete init DIR` makes a workspace with recipes to start from")
    declaration = read_declaration(workspace)

    from compete.planning.model_plan import Machine, all_together, downloads

    rows = _rows(workspace, declaration, say, probe=probe)
    in_all = [recipe for recipe in recipes if recipe.in_all] or recipes
    at_once = max(1, default_workers(in_all, gpu_ids()) if workers is None else workers)
    machine = Machine(
        _devices(asked),
        at_once,
        declaration.folds.k,
        declaration.keeps_weights,
        asked="" if asked is None else asked.name,
        session=hours,
    )
    plans = [_plan_one(recipe, rows, machine) for recipe in recipes]
    probed = _probe(workspace, recipes, plans, rows, machine, say, inline=workers == 0) if probe else {}
    counted = {recipe.name for recipe in in_all}
    together = all_together([plan for plan in plans if plan.name in counted], machine)
    left_out = [plan.name for plan in plans if plan.name not in counted and any(v.estimate for v in plan.verdicts)]
    return Requirements(plans, machine, probed, downloads(plans), together, left_out)


def _devices(asked: Asked | None) -> Sequence[Hardware]:
    """Those that were asked for, or what is here."""
    if asked is None or asked.card is None:
        found = find_devices()
        return found if asked is None else found[:1]

    import torch

    return absent_devices(asked, torch.cuda.get_arch_list())


def _session_hours(session: str) -> float:
    try:
        return seconds_of(session) / 3600
    except ValueError as error:
        raise UserError(f"--session: {error}") from None


def _plan_one(recipe: Recipe, rows: Rows, machine: Machine) -> ModelPlan:
    from compete.planning.model_plan import without_reckoning

    simple = without_reckoning(recipe)
    if simple is not None:
        return simple

    from compete.planning.resources import plan_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # transformers' notes on configurations nobody here is about to load
        return plan_model(recipe, rows, machine)


def _rows(workspace: Workspace, declaration: CompetitionDeclaration, say: Say, *, probe: bool) -> Rows:
    """The competition's rows; without its files, as many labels as are declared and texts as long as allowed."""
    from compete.planning.model_plan import Rows, rows_to_plan

    absent = [
        name for name in [*declaration.data.train, *declaration.data.test] if not (workspace.root / name).is_file()
    ]
    if not absent:
        competition = load(workspace, say)
        return rows_to_plan(
            competition.labels, competition.train_texts, competition.test_texts, competition.task.grades
        )
    if probe:
        raise UserError(f"--probe trains on the competition's rows, and {absent[0]} is not there")
    labels = tuple(declaration.data.labels or (f"label {number}" for number in range(_USUAL_LABELS)))
    say(f"{absent[0]} is not there: planning for {len(labels)} labels and texts as long as max_length")
    return Rows(labels, grades=tuple(declaration.data.grades or ()))


def _probe(
    workspace: Workspace,
    recipes: Sequence[Recipe],
    plans: Sequence[ModelPlan],
    rows: Rows,
    machine: Machine,
    say: Say,
    *,
    inline: bool,
) -> dict[str, Probed]:
    """What came of the probe, by model."""
    from compete.planning.probe import Probed, work

    probed = {}
    for recipe, plan in zip(recipes, plans, strict=True):
        probed[recipe.name] = Probed(why=_no_probe(recipe, plan))
        if probed[recipe.name].why or plan.settings is None or plan.batch is None:
            continue
        say(f"probing {recipe.name}: a few steps of its training")
        try:
            found = _probe_one(workspace, recipe.name, plan.batch.rows, machine, inline=inline)
        except CompeteError as error:  # the other models are still shown
            probed[recipe.name] = Probed(why=str(error))
            continue
        at_once = min(_jobs_at_once(plan, machine), machine.folds)
        of_all = {"n_train": rows.n_train, "n_test": rows.n_test, "folds": machine.folds, "at_once": at_once}
        folds = work(found, plan.settings, recipe.needs, **of_all)
        laid = schedule([folds], at_once, machine.session)
        probed[recipe.name] = Probed(found, laid.hours, at_once, laid.sessions, folds.longest)
    return probed


def _probe_one(workspace: Workspace, name: str, rows_at_once: int, machine: Machine, *, inline: bool) -> Probe:
    """A few steps of one model's training, in a process of its own unless `inline`."""
    from compete.planning.probe import read_probe

    threads = max(1, usable_cores() // machine.workers)
    executor = InlineExecutor() if inline else LocalExecutor(1, threads, gpu_ids()[:1])
    with atomic.scratch_folder() as folder:
        result = folder / "probe.json"
        payload = {
            "workspace": str(workspace.root),
            "size": workspace.size,
            "model": name,
            "threads": threads,
            "rows_at_once": rows_at_once,
            "result": str(result),
        }
        job = Job(f"probe {name}", "compete.planning.probe:run", payload, folder / "log")
        for event in executor.run([job]):
            if isinstance(event, Failed):
                raise CompeteError(f"the probe failed, {event.error}: {event.message.splitlines()[0]}")
        return read_probe(result)


def _no_probe(recipe: Recipe, plan: ModelPlan) -> str:
    """Why a model cannot be probed; empty if it can."""
    if plan.aside:
        return "nothing to probe"
    if not plan.on_machine:
        return "no probe: the checkpoint is not on this machine"
    if recipe.untrusted:
        return "no probe: its code is not allowed yet"
    if not any(verdict.fits and not verdict.refused for verdict in plan.verdicts):
        return "no probe: it does not fit as it is"
    return ""


def _jobs_at_once(plan: ModelPlan, machine: Machine) -> int:
    """Jobs that run together; a GPU takes one at a time, as far as an estimate goes."""
    if any(device.kind == "gpu" for device in machine.devices):
        return 1
    return plan.verdicts[0].at_once or 1
