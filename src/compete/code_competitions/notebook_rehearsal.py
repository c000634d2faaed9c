"""The inference notebook, run here as Kaggle runs it: first on the rows that can be seen, then on others.

Its inputs lie as Kaggle mounts them, every part of the pack in a folder of its own; there is no network; and a process
that takes more memory than a session has is ended. The other test set has another size, ids that nobody has seen, an
empty text and a very long one.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from compete import atomic
from compete.code_competitions import cells_run
from compete.code_competitions.facts import facts_of
from compete.code_competitions.manifest import CHECKPOINTS, MANIFEST, NOTEBOOK, WEIGHTS, Manifest
from compete.code_competitions.no_network import behind_walls
from compete.code_competitions.offline_run import environment
from compete.competition.data import Competition
from compete.competition.planned import Planned
from compete.errors import CompeteError
from compete.submissions.csv_file import check, render
from compete.submissions.form import Form, submission_form

_LONG = 200_000  # letters of the very long text
_LOOK = 0.1  # seconds between two looks at the memory
_SHOWN = 6  # last lines of what the notebook printed


@dataclass(frozen=True)
class Played:
    """One run of the notebook."""

    what: str
    """Which test set."""
    rows: int
    seconds: float
    peak: int
    """Bytes of memory, of the notebook and all it started; 0 where the system does not tell."""
    problem: str = ""
    """Why the run failed; empty where its submission is valid."""
    said: tuple[str, ...] = ()
    """The last lines that it printed."""

    @property
    def ok(self) -> bool:
        return not self.problem


@dataclass(frozen=True)
class NotebookRehearsal:
    """What the runs showed."""

    name: str
    played: list[Played]
    walls: str
    """What kept it from the network."""
    memory: str
    """How much it might take, and how that was watched."""

    @property
    def failed(self) -> CompeteError | None:
        bad = [f"{run.what}: {run.problem}" for run in self.played if not run.ok]
        return CompeteError("the notebook would fail on Kaggle: " + "; ".join(bad)) if bad else None


def rehearse_pack(
    planned: Planned, folder: Path, manifest: Manifest, *, rows: int | None, memory_gib: float, budget: float | None
) -> NotebookRehearsal:
    """Run the notebook of a pack twice. rows: of the other test set; default: three times those that can be seen, and
    seven. budget: seconds in place of the notebook's own."""
    competition, walls, played = planned.competition, "", []
    visible = competition.declaration.data.test
    for what in ("visible rows", "hidden rows"):
        with atomic.scratch_folder() as place:
            inputs, working = place / "input", place / "working"
            working.mkdir()
            _mount(folder, manifest, inputs)
            data = inputs / (manifest.kaggle or "the-competition")
            data.mkdir(parents=True)
            form = (
                _visible(competition, data)
                if what == "visible rows"
                else _hidden(planned, data, rows or 3 * len(competition.test_ids) + 7, len(visible))
            )
            run, walls = _run(folder / NOTEBOOK, place, form, what, memory_gib, budget)
            played.append(run)
        if not run.ok:
            break
    watched = "resident memory of all its processes" if _can_watch() else "not watched: only Linux tells"
    return NotebookRehearsal(manifest.name, played, walls, f"{memory_gib:g} GiB, {watched}")


def _mount(folder: Path, manifest: Manifest, inputs: Path) -> None:
    """The pack as several datasets: every part in a folder of its own, whose name says nothing."""
    places = {part: inputs / f"dataset-{number}" for number, part in enumerate(manifest.parts)}
    for file in manifest.files:
        short = (
            file.path.removeprefix(f"{file.part}/") if file.part.split("/")[0] in (WEIGHTS, CHECKPOINTS) else file.path
        )
        _link(folder / file.path, places[file.part] / short)
    _link(folder / MANIFEST, inputs / "dataset-0" / MANIFEST)


def _link(path: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(path.resolve())


def _visible(competition: Competition, data: Path) -> Form:
    """The competition's own files."""
    declared, root = competition.declaration.data, competition.workspace.root
    files = [*declared.test, *([declared.sample_submission] if declared.sample_submission else [])]
    for name in files:
        _link(root / name, data / PurePosixPath(name).name)
    return submission_form(competition)


def _hidden(planned: Planned, data: Path, rows: int, files: int) -> Form:
    """A test set that nobody has seen, made of the texts that can be seen; and its sample submission."""
    competition = planned.competition
    declared = competition.declaration.data
    chosen = np.random.default_rng(0).integers(0, len(competition.test_ids), size=rows)
    table = competition.test_columns.iloc[chosen].reset_index(drop=True)
    texts = list(competition.declaration.text_columns.names)
    for name in texts:
        table.loc[0, name] = ""
        if rows > 1:
            table.loc[1, name] = " ".join([str(table.loc[1, name]) or "word"] * (_LONG // 8))[:_LONG]
    ids = [f"hidden-{number:07d}" for number in range(rows)]
    table.insert(0, declared.id, ids)
    for number in range(files):  # read as one where the competition has several
        part = table.iloc[number::files]
        name = PurePosixPath(declared.test[number]).name
        # Plain CSV whatever the competition's own is packed in: what reads it tells by content.
        part.to_csv(data / name, index=False, quoting=csv.QUOTE_ALL, lineterminator="\n")
    ordered = [ids[row] for number in range(files) for row in range(number, rows, files)]
    form = facts_of(planned).form_of(ordered)
    if declared.sample_submission:
        outputs = competition.task.outputs
        values = np.zeros((rows, len(outputs)), dtype=np.float32)
        if competition.task.kind in ("classes",):
            values[:, 0] = 1.0
        elif competition.task.kind in ("numbers", "grades"):
            values += competition.train_targets.astype(np.float64).mean(axis=0).astype(np.float32)
        if form.decisions and competition.task.kind == "grades":
            values[:] = competition.task.grades[0]
        (data / PurePosixPath(declared.sample_submission).name).write_bytes(render(form, ordered, outputs, values))
    return form


def _run(
    notebook: Path, place: Path, form: Form, what: str, memory_gib: float, budget: float | None
) -> tuple[Played, str]:
    installed = place / "installed"
    installed.mkdir()
    changed = place / NOTEBOOK
    text = notebook.read_text(encoding="utf-8")
    if budget is not None:
        text = _with_budget(text, budget)
    changed.write_text(text, encoding="utf-8")
    # What the notebook installs goes into a folder of its own, which comes before what is installed here.
    env = {
        **environment([installed]),
        "COMPETE_INPUT": str(place / "input"),
        "PIP_TARGET": str(installed),
        "PIP_CONFIG_FILE": os.devnull,
    }
    command, walls = behind_walls([sys.executable, "-P", str(Path(cells_run.__file__).resolve()), str(changed)])
    began = time.monotonic()
    with (place / "printed.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=place / "working", env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        peak, too_much = _watched(process, memory_gib)
    seconds = time.monotonic() - began
    said = (place / "printed.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    problem = _problem(process.returncode, too_much, said, memory_gib) or _invalid(
        place / "working" / "submission.csv", form
    )
    return Played(what, len(form.ids), seconds, peak, problem, tuple(said[-_SHOWN:])), walls


def _with_budget(text: str, budget: float) -> str:
    notebook: Any = json.loads(text)
    for cell in notebook["cells"]:
        if cell.get("id") == "start":
            lines = "".join(cell["source"]).splitlines()
            cell["source"] = "\n".join(
                f"BUDGET = {budget:g}" if line.startswith("BUDGET =") else line for line in lines
            )
    return json.dumps(notebook)


def _problem(code: int, too_much: bool, said: Sequence[str], memory_gib: float) -> str:
    if too_much:
        return f"it took more than {memory_gib:g} GiB of memory"
    return f"it ended with an error: {said[-1] if said else 'nothing was printed'}" if code else ""


def _invalid(path: Path, form: Form) -> str:
    if not path.is_file():
        return "it wrote no submission.csv"
    try:
        check(path, form)
    except CompeteError as error:
        return str(error)
    return ""


def _can_watch() -> bool:
    return Path("/proc/self/statm").is_file()


def _watched(process: subprocess.Popen[bytes], memory_gib: float) -> tuple[int, bool]:
    """Wait for a process; the most memory that it and what it started took, and whether it was ended for that."""
    peak, most = 0, memory_gib * 2**30
    try:
        while process.poll() is None:
            now = _resident(process.pid) if _can_watch() else 0
            peak = max(peak, now)
            if now > most:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return peak, True
            time.sleep(_LOOK)
    except BaseException:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        raise
    return peak, False


def _resident(group: int) -> int:
    """Bytes of resident memory of all processes of a session."""
    page, total = os.sysconf("SC_PAGE_SIZE"), 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.getsid(int(entry.name)) == group:
                total += int((entry / "statm").read_text(encoding="ascii").split()[1]) * page
        except (OSError, ValueError, IndexError):
            continue  # it has ended since
    return total
