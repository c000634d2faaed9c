"""Train on Kaggle: a notebook with its jobs, pushed perhaps, and what it leaves brought home."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compete import atomic
from compete.code_competitions.parcels import Parcel, Pushable, checked_accelerator, checked_notebook, kaggle_name
from compete.code_competitions.shipping import Shipment, journal_in, refuse_other_account
from compete.code_competitions.training_notebook import write_training_notebook
from compete.code_competitions.wheels import gather_wheels
from compete.competition.declaration import read_declaration
from compete.competition.names import checked_name
from compete.competition.workspace import Workspace
from compete.errors import KaggleError, UserError
from compete.oof.job_archives import JOB
from compete.oof.job_results import RESULT
from compete.oof.lock import held
from compete.printable import listed, on_one_line
from compete.submissions.kaggle.client import PATIENCE, SLOWEST, KaggleClient
from compete.times import seconds_of
from compete.workflows.jobs import Collected, collect_jobs, export_jobs
from compete.workflows.session import Say, silent, stopping_said
from compete.workflows.ship import size_text

NOTEBOOK, DATASET = "train.ipynb", "dataset"
STOP_AFTER = "11h"  # an hour before a session on Kaggle ends
_LONGEST = 12 * 3600  # of a session; Kaggle takes no longer one
_TO_END = 1800  # seconds that a session lasts beyond the last job


@dataclass(frozen=True)
class TrainingNotebook:
    """A notebook that trains, and the dataset that it is run with."""

    folder: Path
    jobs: list[str]
    """Models and folds, as "linear-fold-0"."""
    notebook: str
    """Its name on Kaggle; "owner/name" once it is pushed."""
    version: int | None = None
    """That was pushed; None where nothing was."""

    @property
    def path(self) -> Path:
        return self.folder / NOTEBOOK


def nobody_to_ask(question: str) -> bool:
    """Where no answer can be had, the answer has to be there before."""
    raise UserError("--push uploads the jobs, your training data among them: say --yes where nobody can be asked")


def training_notebook(
    workspace: Workspace,
    names: Sequence[str] = (),
    *,
    folds: Sequence[int] = (),
    stop_after: str = STOP_AFTER,
    out: Path | None = None,
    wheels: Path | None = None,
    force: bool = False,
    replace_stale: bool = False,
    as_published: bool = False,
    threads: int | None = None,
    accelerator: str = "t4",
    push: bool = False,
    notebook: str | None = None,
    yes: bool = False,
    say: Say = silent,
    ask: Callable[[str], bool] = nobody_to_ask,
    client: KaggleClient | None = None,
) -> TrainingNotebook:
    """Write a notebook that trains what `train_base` would, into `out` (kaggle_notebooks/<notebook> by default).

    Beside it lies dataset/: a job per model and fold, a wheel of this compete, and those of the folder `wheels`. push:
    upload that as a private dataset and push the notebook, private too, with internet for checkpoints and libraries;
    asks once unless `yes`. stop_after: as "11h", after which no job runs any more.
    """
    seconds, slug = _seconds(stop_after), read_declaration(workspace).submission.kaggle
    if push and slug is None:
        raise UserError('--push: [submission] names no competition: kaggle = "SLUG", the last part of its address')
    name = checked_name(notebook or kaggle_name(slug or workspace.root.name, "train"), "notebook").lower()
    machine = checked_accelerator(accelerator)
    folder = out or workspace.root / "kaggle_notebooks" / name
    dataset = folder / DATASET
    for old in (*dataset.glob(f"*{JOB}"), *dataset.glob("*.whl")):  # of another call: they would be used as well
        old.unlink()
    exported = export_jobs(
        workspace,
        dataset,
        names,
        folds=folds,
        force=force,
        replace_stale=replace_stale,
        threads=threads,
        as_published=as_published,
        say=say,
    )
    if not exported.files:
        raise UserError("nothing is to be trained: no notebook was written (--force trains what is trained already)")
    gather_wheels(dataset, None, wheels)
    jobs = [path.stem for path in exported.files]
    models = list(dict.fromkeys(job.rpartition("-fold-")[0] for job in jobs))
    write_training_notebook(folder / NOTEBOOK, models, len(jobs), seconds)
    made = TrainingNotebook(folder, jobs, name)
    if not push:
        return made
    assert slug is not None
    pushable = Pushable(
        name,
        made.path,
        slug,
        accelerator=machine,
        internet=True,
        seconds=round(seconds) + _TO_END if seconds + _TO_END < _LONGEST else None,
        parcels=[_parcel(dataset, kaggle_name(name, "jobs"))],
    )
    return _pushed(workspace, made, pushable, yes, say, ask, client or KaggleClient(slug))


def collect_from_kaggle(
    workspace: Workspace, notebook: str, *, say: Say = silent, client: KaggleClient | None = None
) -> Collected:
    """Download the results that a notebook on Kaggle left, and bring them in (`collect_jobs`).

    notebook: "owner/name". Raises UserError if it left none, KaggleError while its run has not ended.
    """
    owner, name = checked_notebook(notebook, "--kaggle")
    with client or KaggleClient(read_declaration(workspace).submission.kaggle or "") as open_client:
        about = open_client.call("notebook", owner=owner, name=name)
        if about is None:
            raise UserError(f"Kaggle knows no notebook {notebook}, or does not show it to this account")
        where: dict[str, Any] = {"owner": owner, "name": name, "version": int(about["version"])}
        run = open_client.call("notebook_run", **where)
        if run["status"] not in ("complete", "error", "cancel_acknowledged"):
            raise KaggleError(f"{notebook} version {where['version']} has not ended ({run['status']}): try again later")
        files = open_client.call("notebook_files", **where)
        found = {each["name"]: int(each["bytes"]) for each in files if each["name"].endswith(RESULT)}
        if not found:
            why = f" ({on_one_line(run['reason'])})" if run["reason"] else ""
            raise UserError(f"{notebook} version {where['version']} left no result (*{RESULT}){why}")
        say(f"downloading {len(found)} results, {size_text(sum(found.values()))}: {listed(sorted(found), 5)}")
        with atomic.scratch_folder() as scratch:
            seconds = PATIENCE + sum(found.values()) / SLOWEST
            pattern = rf"{RESULT.replace('.', '[.]')}$"
            open_client.call("notebook_output", seconds, folder=str(scratch), pattern=pattern, **where)
            return collect_jobs(workspace, scratch, say=say)


def _pushed(
    workspace: Workspace,
    made: TrainingNotebook,
    pushable: Pushable,
    yes: bool,
    say: Say,
    ask: Callable[[str], bool],
    client: KaggleClient,
) -> TrainingNotebook:
    folder = workspace.shipment(pushable.key)
    with stopping_said(say), held(folder / ".lock", lambda: say("another command pushes this: waiting")), client:
        owner = str(client.call("account"))
        refuse_other_account(journal_in(folder), owner)
        size = size_text(sum(each.bytes for each in pushable.parcels))
        question = f"Upload {len(made.jobs)} jobs with their training data ({size}) as {owner}, private, and run them?"
        if not (yes or ask(question)):
            return made
        shipment = Shipment(client, pushable, folder, owner, 0.0, say)
        shipment.datasets()
        version = shipment.push()
    return TrainingNotebook(made.folder, made.jobs, shipment.address, version)


def _parcel(dataset: Path, name: str) -> Parcel:
    files = {path.name: path for path in sorted(dataset.iterdir()) if path.is_file()}
    return Parcel("jobs", name, files, {place: atomic.sha256_file(path) for place, path in files.items()})


def _seconds(text: str) -> float:
    try:
        return seconds_of(text)
    except ValueError as error:
        raise UserError(f"--stop-after, stop_after: {error}") from None
