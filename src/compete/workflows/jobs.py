"""Jobs as files, for machines that share nothing with this one: writing them, doing one, bringing in its result."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compete.archives import Archive
from compete.competition.workspace import Workspace
from compete.errors import ArchiveError, CompeteError, DiskFullError, JobsFailedError, UserError, is_users_mistake
from compete.execution.jobs import Event, Failed, Job
from compete.execution.local import gpu_ids
from compete.experiments.run_log import Run, note_runs
from compete.oof.fold_plan import with_plan
from compete.oof.job_archives import JOB, file_stem, laid_out, open_job, other_versions, pack_job, packed_work
from compete.oof.job_results import RESULT, Arrival, bring_in, has_result, open_result, pack_result
from compete.oof.lock import held
from compete.oof.state import recipes_in_force
from compete.oof.work import Work, assemble_if_complete, choose_recipes, find_work, train
from compete.workflows.executors import crew_for
from compete.workflows.session import Say, exclusively, load, silent
from compete.workflows.status import status
from compete.workflows.watching import Watch, unwatched


@dataclass(frozen=True)
class Exported:
    """Jobs that were written."""

    files: list[Path]
    want_gpu: int
    """How many of them ask for a GPU."""


@dataclass(frozen=True)
class Collected:
    """What became of every result in a folder."""

    arrivals: list[Arrival]
    whole: list[str]
    """Models that have all their folds now, and had not before."""
    refused: list[str]
    """Why results did not come in, or what failed where it was done, a sentence each."""

    @property
    def failed(self) -> JobsFailedError | None:
        """What to raise when all of it is said."""
        if not self.refused:
            return None
        count = len(self.refused)
        what = "1 result is not in, and lies where it was"
        if count > 1:
            what = f"{count} results are not in, and lie where they were"
        return JobsFailedError("\n".join([what, *(f"  {why}" for why in self.refused)]))


def export_jobs(
    workspace: Workspace,
    folder: Path,
    names: Sequence[str] = (),
    *,
    folds: Sequence[int] = (),
    force: bool = False,
    replace_stale: bool = False,
    threads: int | None = None,
    as_published: bool = False,
    parity: bool = True,
    say: Say = silent,
) -> Exported:
    """Write a file into `folder` for every job that `train_base` would do now."""
    with exclusively(workspace, say):
        competition = load(workspace, say)
        recipes = {recipe.name: recipe for recipe in choose_recipes(competition, names, as_published=as_published)}
        threads = threads or crew_for(list(recipes.values()), None).threads
        work = find_work(
            competition,
            list(recipes.values()),
            folds,
            force=force,
            replace_stale=replace_stale,
            threads=threads,
            parity=parity,
        )
        for notice in work.notices:
            say(notice)
        # A check needs what was kept here, and is done in no time.
        jobs = [job for job in work.jobs if "identity" in job.payload]
        files = {_file_of(job, folder): job for job in jobs}
        for path, job in files.items():
            pack_job(work.planned, recipes[job.payload["model"]], job, path)
    _say_what_else_is_there(folder, list(files), say)
    return Exported(list(files), sum(job.needs.gpus > 0 for job in jobs))


def run_job(
    path: Path, out: Path | None = None, *, here: Path = Path(), say: Say = silent, watch: Watch = unwatched
) -> Path:
    """Do a packed job, as it would be done where it was made; the file with its result, in `out` or beside the job's.

    here: folder that a local checkpoint is looked for in. Raises ArchiveError for a file that is no job for this
    machine; JobsFailedError if the job failed, UserError if that was a mistake of the user: the result has its log.
    """
    job, result = open_job(path), (out or path.parent) / f"{path.stem}{RESULT}"
    result.parent.mkdir(parents=True, exist_ok=True)
    with _alone(result.parent / f".{path.stem}.lock", say):
        if has_result(job, result):
            say(f"{result} is there already")
            return result
        for difference in other_versions(job):
            say(f"other than where the job was made: {difference}; probabilities may differ in their last digits")
        if job.manifest["needs"].get("gpus") and not gpu_ids():
            say("the job asks for a GPU and there is none here: it is trained on the processor")
        scratch = result.parent / f".{path.stem}.running"
        try:
            failed = _run(job, laid_out(job, scratch, here), result, watch)
        except DiskFullError:
            raise  # what was trained and could not be packed stays, for the next run to take up
        except CompeteError:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        shutil.rmtree(scratch, ignore_errors=True)
    if failed is not None:
        error = UserError if is_users_mistake(failed.error) else JobsFailedError
        raise error(f"{failed.job.name} failed: {failed.error}: {failed.message} (its log is in {result})")
    return result


def collect_jobs(workspace: Workspace, folder: Path, *, say: Say = silent) -> Collected:
    """Bring in every result in `folder`, and put models together whose folds are all there.

    What cannot come in is refused by name and stays where it is. Raises UserError if there is no result.
    """
    files = sorted(path for path in folder.glob(f"*{RESULT}") if not path.name.startswith("."))
    if not files:
        raise UserError(f"{folder} holds no results (*{RESULT}): `compete jobs run` writes one beside each job")
    arrivals, refused = list[Arrival](), list[str]()
    with exclusively(workspace, say):
        planned = with_plan(load(workspace, say))
        for path in files:
            try:
                arrival = bring_in(planned, open_result(path))
            except ArchiveError as error:
                refused.append(str(error))
                continue
            arrivals.append(arrival)
            if arrival.what == "failed":
                refused.append(f"{path}: {arrival.model} fold {arrival.fold} failed: {arrival.why}")
        came = {arrival.model for arrival in arrivals if arrival.what != "was there already"}
        recipes = [recipe for name, recipe in recipes_in_force(workspace).items() if name in came]
        work = Work(planned, recipes, {}, [])
        whole = [recipe.name for recipe in recipes if assemble_if_complete(work, recipe.name)]
        if whole:
            note_runs(workspace, _runs(workspace, whole), say)
    return Collected(arrivals, whole, refused)


def _runs(workspace: Workspace, whole: Sequence[str]) -> list[Run]:
    """The log's lines on models that were put together of what came in; what they took was spent elsewhere."""
    found = status(workspace, whole)
    return [
        Run(
            "jobs collect",
            "base model",
            name,
            seconds=state.seconds,
            identity=dict(state.whole.record.get("identity", {})),
        ).scored(found.scores.get(name))
        for name, state in found.states.items()
    ]


@contextlib.contextmanager
def _alone(path: Path, say: Say) -> Iterator[None]:
    """The lock of one job, gone when it is done."""

    def waiting() -> None:
        say("another command is doing this job: waiting until it has ended (Ctrl-C gives up)")

    with held(path, waiting):
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # Windows removes no file that is open
                path.unlink()


def _run(job: Archive, workspace: Workspace, result: Path, watch: Watch) -> Failed | None:
    """Do what is left of a job that is laid out, and write its result."""
    work = packed_work(job, workspace)
    crew = crew_for(work.recipes, 1, job.manifest["threads"])
    failures: list[Failed] = []
    with watch(work, 1) as on_event:

        def listen(event: Event) -> None:
            failures.extend([event] if isinstance(event, Failed) else [])
            on_event(event)

        with contextlib.suppress(JobsFailedError):  # told by the result, and by whoever called
            train(work, crew.executor, listen)
    failed = failures[0] if failures else None
    pack_result(job, workspace, failed, result)
    return failed


def _file_of(job: Job, folder: Path) -> Path:
    return folder / f"{file_stem(job.payload['model'], job.payload['fold'])}{JOB}"


def _say_what_else_is_there(folder: Path, files: Sequence[Path], say: Say) -> None:
    older = sorted(path.name for path in folder.glob(f"*{JOB}") if path not in files)
    if older:
        say(f"{folder} also holds jobs of an earlier export, which are not among these: {', '.join(older)}")
