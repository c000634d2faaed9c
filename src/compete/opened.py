"""A workspace as Python sees it: `compete.open(path)` looks at it, and does whatever the command line can."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from compete.code_competitions.notebook_rehearsal import NotebookRehearsal
from compete.competition.workspace import Workspace, find_workspace
from compete.declarations import unknown_name
from compete.errors import UserError
from compete.oof.work import Work
from compete.printable import printable
from compete.reporting.figures.catalogue import catalogue
from compete.reporting.figures.style import drawn
from compete.reporting.terminal.training_display import TrainingDisplay, shown_on
from compete.reporting.view import View
from compete.workflows import folds as _folds
from compete.workflows.download import download
from compete.workflows.finalists import Selection, finalists
from compete.workflows.import_model import import_model
from compete.workflows.jobs import Collected, Exported, collect_jobs, export_jobs
from compete.workflows.kaggle_notebook import STOP_AFTER, TrainingNotebook, collect_from_kaggle, training_notebook
from compete.workflows.pack import (
    PackCheck,
    PackResult,
    check_pack,
    pack,
    rehearse_notebook,
)
from compete.workflows.plan import Requirements, plan
from compete.workflows.predict import Predicted, predict
from compete.workflows.rehearse import Rehearsal, rehearse
from compete.workflows.report import WrittenReport, report
from compete.workflows.scores import Scores, scores
from compete.workflows.session import Say, silent
from compete.workflows.ship import RUN_WITHIN, Shipped, ship
from compete.workflows.stack import Stacked, stack
from compete.workflows.status import Status, status
from compete.workflows.submit import Submitted, submit
from compete.workflows.train import train_base
from compete.workflows.watching import Watch, unwatched

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from compete.submissions.kaggle.download import Downloaded


class Opened(View):
    """What a workspace holds, as arrays, tables and figures, and what can be done in it; made by `compete.open`.

    A method is a command: its arguments are the command's options, but for those that write a table into a file; its
    errors are `compete.errors`. What it returns has the numbers of the command's tables as DataFrames. Paths are
    relative to where Python runs, as in a terminal.
    """

    def __init__(self, workspace: Workspace, *, quiet: bool = False) -> None:
        super().__init__(workspace)
        self._say: Say = silent if quiet else _to_standard_error
        self._watch: Watch = unwatched if quiet else _shown

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """What was read before is read anew, also where the command ended half-way."""
        try:
            yield
        finally:
            self.forget()

    def _tell(self, found: Status, *, warnings: bool = False) -> Status:
        for sentence in found.notices(warnings=warnings):
            self._say(sentence)
        return found

    def status(self, *names: str) -> Status:
        """`compete status`: every base model, or the named ones."""
        found = status(self.workspace, names)
        for name in names:
            if name not in found.states:
                raise UserError(f"no base model {name!r}; {unknown_name(name, found.survey.states)}")
        return self._tell(found)

    def fold_table(self) -> _folds.FoldTable:
        """`compete folds`: rows and label rates of every fold; makes the plan if there is none."""
        with self._changing():
            return _folds.folds(self.workspace, say=self._say)

    def plan(
        self,
        *names: str,
        probe: bool = False,
        workers: int | None = None,
        device: str | None = None,
        session: str | None = None,
    ) -> Requirements:
        """`compete plan`: what the models need, before anything is downloaded."""
        found = plan(self.workspace, names, probe=probe, workers=workers, device=device, session=session, say=self._say)
        for name, probed in found.probed.items():
            if probed.why:
                self._say(f"{name}: {probed.why}")
        return found

    def download(self) -> Downloaded:
        """`compete download`: the competition's files from Kaggle."""
        with self._changing():
            return download(self.workspace, say=self._say)

    def train_base(
        self,
        *names: str,
        folds: Sequence[int] | int = (),
        force: bool = False,
        replace_stale: bool = False,
        workers: int | None = None,
        threads: int | None = None,
        as_published: bool = False,
        parity: bool = True,
        stop_after: str | None = None,
        on: str | None = None,
        address: str | None = None,
    ) -> Status:
        """`compete train-base`: the named recipes, or for no names those of --all.

        Raises JobsFailedError if a job failed; what the others made is kept.
        """
        with self._changing():
            trained = train_base(
                self.workspace,
                names,
                folds=[folds] if isinstance(folds, int) else folds,
                force=force,
                replace_stale=replace_stale,
                workers=workers,
                threads=threads,
                as_published=as_published,
                parity=parity,
                stop_after=stop_after,
                on=on,
                address=address,
                say=self._say,
                watch=self._watch,
            )
        self._tell(trained.status, warnings=True)
        if trained.failed is not None:
            raise trained.failed
        return trained.status

    def jobs_export(
        self,
        folder: Path | str,
        *names: str,
        folds: Sequence[int] | int = (),
        force: bool = False,
        replace_stale: bool = False,
        threads: int | None = None,
        as_published: bool = False,
        parity: bool = True,
    ) -> Exported:
        """`compete jobs export`: a file for every job of `train_base`, for other machines (`compete jobs run`)."""
        with self._changing():
            return export_jobs(
                self.workspace,
                Path(folder).expanduser(),
                names,
                folds=[folds] if isinstance(folds, int) else folds,
                force=force,
                replace_stale=replace_stale,
                threads=threads,
                as_published=as_published,
                parity=parity,
                say=self._say,
            )

    def jobs_collect(self, folder: Path | str | None = None, *, kaggle: str | None = None) -> Collected:
        """`compete jobs collect`: results of other machines, or of a notebook on Kaggle ("owner/name").

        Raises JobsFailedError if one did not come in.
        """
        if (folder is None) == (kaggle is None):
            raise UserError("where are the results? Name a folder, or a notebook as kaggle")
        with self._changing():
            if kaggle is not None:
                found = collect_from_kaggle(self.workspace, kaggle, say=self._say)
            elif folder is not None:
                found = collect_jobs(self.workspace, Path(folder).expanduser(), say=self._say)
        if found.failed is not None:
            raise found.failed
        return found

    def import_model(
        self,
        name: str,
        oof: Path | str,
        test: Path | str,
        *,
        oof_ids: Path | str | None = None,
        test_ids: Path | str | None = None,
        seen: Path | str | None = None,
        force: bool = False,
    ) -> Status:
        """`compete import`: a base model of probabilities that were computed elsewhere."""
        with self._changing():
            found = import_model(
                self.workspace,
                name,
                Path(oof).expanduser(),
                Path(test).expanduser(),
                oof_ids=_path(oof_ids),
                test_ids=_path(test_ids),
                seen=_path(seen),
                force=force,
                say=self._say,
            )
        return self._tell(found)

    def stack(
        self,
        *names: str,
        without: Sequence[str] = (),
        allow: Sequence[str] = (),
        leave_one_out: bool = False,
        force: bool = False,
    ) -> Stacked:
        """`compete stack`: the named recipes, or all, of which one is chosen."""
        with self._changing():
            return stack(
                self.workspace,
                names,
                without=without,
                allow=allow,
                leave_one_out=leave_one_out,
                force=force,
                say=self._say,
            )

    def submit(
        self,
        what: Path | str | None = None,
        *,
        yes: bool = False,
        wait: bool = False,
        again: bool = False,
        allow_constant: bool = False,
        late: bool = False,
        kernel: str | None = None,
        kernel_version: int | None = None,
    ) -> Submitted:
        """`compete submit`: a stack, a base model or a CSV file; by default the stack that was chosen.

        Nobody is asked: where a submission counts, `yes` has to be said. Raises KaggleError if Kaggle could not score
        it.
        """
        with self._changing():
            found = submit(
                self.workspace,
                what,
                yes=yes,
                wait=wait,
                again=again,
                allow_constant=allow_constant,
                late=late,
                kernel=kernel,
                kernel_version=kernel_version,
                say=self._say,
            )
        if found.notice:
            self._say(found.notice)
        if found.failed is not None:
            raise found.failed
        return found

    def ship(
        self,
        pack: str | None = None,
        *,
        notebook: str | None = None,
        accelerator: str = "t4",
        run_within: str = RUN_WITHIN,
        yes: bool = False,
        dry_run: bool = False,
        again: bool = False,
        late: bool = False,
    ) -> Shipped:
        """`compete ship`: a pack to a code competition, through its notebook to its submission.

        Nobody is asked: `yes` has to be said, or `dry_run`.
        """
        with self._changing():
            found = ship(
                self.workspace,
                pack,
                notebook=notebook,
                accelerator=accelerator,
                run_within=run_within,
                yes=yes,
                dry_run=dry_run,
                again=again,
                late=late,
                say=self._say,
            )
        if found.notice:
            self._say(found.notice)
        return found

    def kaggle_notebook_train(
        self,
        *names: str,
        folds: Sequence[int] | int = (),
        stop_after: str = STOP_AFTER,
        out: Path | str | None = None,
        wheels: Path | str | None = None,
        force: bool = False,
        replace_stale: bool = False,
        as_published: bool = False,
        threads: int | None = None,
        accelerator: str = "t4",
        push: bool = False,
        notebook: str | None = None,
        yes: bool = False,
    ) -> TrainingNotebook:
        """`compete kaggle-notebook train`: a notebook that trains on Kaggle, and its jobs as a dataset."""
        with self._changing():
            return training_notebook(
                self.workspace,
                names,
                folds=[folds] if isinstance(folds, int) else folds,
                stop_after=stop_after,
                out=_path(out),
                wheels=_path(wheels),
                force=force,
                replace_stale=replace_stale,
                as_published=as_published,
                threads=threads,
                accelerator=accelerator,
                push=push,
                notebook=notebook,
                yes=yes,
                say=self._say,
            )

    def predict(
        self,
        texts: Path | str | Sequence[str],
        what: str | None = None,
        *,
        decisions: bool = False,
        threads: int | None = None,
    ) -> Predicted:
        """`compete predict`: of a file (its path) with the columns of the test file, or of the texts themselves."""
        return predict(self.workspace, texts, what, decisions=decisions, threads=threads, say=self._say)

    def scores(self, *, refresh: bool = False, private: bool = False) -> Scores:
        """`compete scores`: every submission, and what its scores mean."""
        with self._changing():
            return scores(self.workspace, refresh=refresh, private=private, say=self._say)

    def finalists(self) -> Selection:
        """`compete finalists`: which two submissions to select for the private leaderboard."""
        return finalists(self.workspace, say=self._say)

    def rehearse(
        self,
        *models: str,
        stacks: Sequence[str] = (),
        share: float = 0.2,
        seed: int = 0,
        workers: int | None = None,
    ) -> Rehearsal:
        """`compete rehearse`: the competition on part of the training rows, every promise held against the truth."""
        return rehearse(self.workspace, models, stacks=stacks, share=share, seed=seed, workers=workers, say=self._say)

    def rehearse_notebook(
        self,
        name: str | None = None,
        *,
        rows: int | None = None,
        memory_gib: float = 31.0,
        budget: str | None = None,
    ) -> NotebookRehearsal:
        """`compete rehearse --notebook`: a pack's notebook as Kaggle would run it; `failed` says what is wrong."""
        return rehearse_notebook(self.workspace, name, rows=rows, memory_gib=memory_gib, budget=budget, say=self._say)

    def pack(
        self,
        what: str | None = None,
        *,
        name: str | None = None,
        budget: str = "8h",
        full_precision: bool = False,
        wheel: Path | str | None = None,
        wheels: Path | str | None = None,
        python: str | None = None,
        kaggle_models: Sequence[str] = (),
        kaggle_datasets: Sequence[str] = (),
        accept_licences: Sequence[str] = (),
    ) -> PackResult:
        """`compete pack`: a folder with all that prediction needs, and the notebook that predicts with it."""
        return pack(
            self.workspace,
            what,
            name=name,
            budget=budget,
            full_precision=full_precision,
            wheel=_path(wheel),
            wheels=_path(wheels),
            python=python,
            kaggle_models=kaggle_models,
            kaggle_datasets=kaggle_datasets,
            accept_licences=accept_licences,
            say=self._say,
        )

    def check_pack(self, name: str | None = None) -> PackCheck:
        """`compete pack --check`: a pack held against the workspace, in a fresh process without a network."""
        return check_pack(self.workspace, name, say=self._say)

    def report(self, folder: Path | str | None = None) -> WrittenReport:
        """`compete report`: one page that needs no network, and every figure beside it."""
        return report(self.workspace, _path(folder), say=self._say)

    def figures(self) -> list[str]:
        """Names of the figures that this workspace can give."""
        return [picture.name for picture in catalogue(self).pictures]

    def figure(self, name: str, *, dark: bool = False) -> Figure:
        """One figure, to show in a notebook or to save."""
        found = {picture.name: picture for picture in catalogue(self).pictures}
        if name not in found:
            raise UserError(f"no figure is called {name!r}; there are: {', '.join(found) or 'none yet'}")
        return drawn(found[name].draw, dark=dark)


def open_workspace(path: Path | str = ".", *, size: str | None = None, quiet: bool = False) -> Opened:
    """As `compete.open`."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise UserError(f"{path} is no folder")
    return Opened(find_workspace(folder.resolve(), size), quiet=quiet)


def _to_standard_error(sentence: str) -> None:
    print(printable(sentence), file=sys.stderr)


def _shown(work: Work, at_once: int) -> AbstractContextManager[TrainingDisplay]:
    from compete.reporting.terminal.safe_console import SafeConsole

    # In a notebook rich would put every line into the page; on standard error it can be put aside.
    console = SafeConsole(stderr=True, highlight=False, force_jupyter=False)
    return shown_on(console)(work, at_once)


def _path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path).expanduser()
