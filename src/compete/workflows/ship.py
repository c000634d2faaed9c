"""Send a pack to a code competition: datasets, the notebook, its run, its submission, each of them once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compete import atomic
from compete.code_competitions.journal import Journal
from compete.code_competitions.packed import Packed, open_pack
from compete.code_competitions.parcels import Pushable, checked_accelerator, kaggle_name
from compete.code_competitions.shipping import Shipment, journal_in, refuse_other_account
from compete.competition.declaration import CompetitionDeclaration, read_declaration
from compete.competition.names import checked_name
from compete.competition.workspace import Workspace
from compete.errors import SubmissionError, UserError
from compete.experiments.run_log import note_runs
from compete.oof.fold_plan import with_plan
from compete.oof.lock import held
from compete.oof.results import Result
from compete.stacking.inventory import Inventory
from compete.submissions import sending
from compete.submissions.kaggle.client import KaggleClient
from compete.submissions.kaggle.kaggle_leaderboard import NOTEBOOK_OUTPUT, KaggleLeaderboard
from compete.submissions.ledger import Entry, ledger_of
from compete.submissions.sending import Permissions, prepare_output
from compete.times import seconds_of
from compete.workflows.session import Say, exclusively, load, silent, stopping_said
from compete.workflows.submit import run_of

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ["step", "what", "bytes", "state", "result"]
RUN_WITHIN = "13h"  # Kaggle's own limit of a session is twelve hours, and a GPU may be waited for


@dataclass(frozen=True)
class PlannedStep:
    """One step of a shipment, as it stands."""

    step: str
    what: str
    bytes: int | None
    """That go out, or None."""
    state: str
    """"done", "to do", or "cut off": begun, and Kaggle is asked first."""
    result: str = ""
    """What came of it: a version, a number of the ledger."""


@dataclass(frozen=True)
class Shipped:
    """What became of a pack."""

    pack: str
    competition: str
    notebook: str
    """"owner/name"; the name alone where nobody asked Kaggle whose it is."""
    steps: list[PlannedStep]
    entry: Entry | None = None
    """Its row of the ledger; None if nothing was submitted."""
    dry: bool = False
    page: str = field(default="", repr=False)

    @property
    def bytes(self) -> int:
        """That go out, of steps that are not done."""
        return sum(each.bytes or 0 for each in self.steps if each.state != "done")

    @property
    def table(self) -> pd.DataFrame:
        """A row per step: step, what, bytes, state, result."""
        import pandas as pd

        return pd.DataFrame([vars(each) for each in self.steps], columns=_COLUMNS).set_index("step")

    @property
    def rows(self) -> list[tuple[str, str, str, str]]:
        """The same for people: what, size, state, result."""
        return [
            (each.what, "" if each.bytes is None else size_text(each.bytes), each.state, each.result)
            for each in self.steps
        ]

    def record(self) -> dict[str, Any]:
        """The same as JSON, without the submission."""
        return {
            "pack": self.pack,
            "competition": self.competition,
            "notebook": self.notebook,
            "dry_run": self.dry,
            "bytes": self.bytes,
            "steps": [dict(vars(each)) for each in self.steps],
        }

    @property
    def notice(self) -> str:
        if self.dry:
            return "nothing was sent: --dry-run"
        if self.entry is None:
            return "nothing was sent"
        if self.entry.outcome.status == "sent":
            return "not scored yet, the notebook runs on the hidden rows first: `compete scores --refresh` asks Kaggle"
        return ""


def nobody_to_ask(question: str) -> bool:
    """Where no answer can be had, the answer has to be there before."""
    raise UserError("a pack goes out to Kaggle, and its submission counts: say --yes where nobody can be asked")


def ship(
    workspace: Workspace,
    pack: str | None = None,
    *,
    notebook: str | None = None,
    accelerator: str = "t4",
    run_within: str = RUN_WITHIN,
    yes: bool = False,
    dry_run: bool = False,
    again: bool = False,
    late: bool = False,
    say: Say = silent,
    ask: Callable[[str], bool] = nobody_to_ask,
    client: KaggleClient | None = None,
) -> Shipped:
    """Upload a pack, push and run its notebook, and submit that; for no name the only pack there is.

    What was done before, by a command that was cut off at any step, is found and not done again. notebook: its name on
    Kaggle, without the owner. accelerator: "t4" or "none". run_within: as "13h", that the run is waited for. dry_run:
    every step and its size, and no call to Kaggle. again: submit what was submitted before. Asks once, before anything
    goes out, unless `yes`. Raises SubmissionError for what must not be sent, KaggleError where Kaggle failed.
    """
    declared = read_declaration(workspace)
    slug = _slug(declared)
    packed = open_pack(workspace, pack)
    packed.refuse_other_competition(slug, declared.name)
    name = kaggle_name(slug, packed.name) if notebook is None else checked_name(notebook, "notebook")
    pushable = packed.pushable(name.lower(), slug, checked_accelerator(accelerator))
    seconds = _seconds(run_within)
    folder = workspace.shipment(pushable.content[:16])
    before = _shipped_before(workspace, slug, pushable)
    atomic.sweep_dead(workspace.shipments)
    if dry_run:
        return Shipped(packed.name, slug, pushable.name, planned_steps(pushable, journal_in(folder), before), dry=True)
    if before is not None and not again:
        raise SubmissionError(
            f"pack {packed.name} was shipped before, with just this notebook: number {before.number}, "
            f"{before.submission.source}, {before.created:%Y-%m-%d %H:%M} UTC. Nothing is sent again; --again submits "
            "that version of the notebook once more."
        )
    with stopping_said(say), held(folder / ".lock", lambda: say("another command ships this: waiting until it ended")):
        shipment = _begun(client or KaggleClient(slug), pushable, folder, seconds, say)
        with shipment.client:
            leaderboard = KaggleLeaderboard(shipment.client, declared.metric_name, late=late)
            left = leaderboard.ready_for_notebooks()
            steps = planned_steps(pushable, shipment.journal, before)
            found = Shipped(packed.name, slug, shipment.address, steps, page=shipment.page)
            say(_summary(found, left))
            if not (yes or ask(f"Send it to Kaggle as {shipment.owner}, private, and submit it to {slug}?")):
                return found
            entry = _go(workspace, packed, shipment, late, again, say)
    return Shipped(
        packed.name, slug, shipment.address, planned_steps(pushable, shipment.journal, entry), entry, page=shipment.page
    )


def planned_steps(pushable: Pushable, journal: Journal, entry: Entry | None = None) -> list[PlannedStep]:
    """Every step in order, as the journal and the ledger have it."""
    noted = journal.steps()

    def step(name: str, what: str, size: int | None = None) -> PlannedStep:
        known = noted.get(name)
        if known is None or known.state == "failed":
            return PlannedStep(name, what, size, "to do")
        version = known.facts.get("version")
        told = "" if version is None else f"version {version}"
        return PlannedStep(name, what, size, "cut off" if known.state == "intent" else "done", told)

    counted = entry is not None and entry.counted
    internet = "internet on" if pushable.internet else "no internet"
    return [
        *(
            step(f"dataset:{each.part}", f"upload {files_text(each.files)}, private dataset {each.name}", each.bytes)
            for each in pushable.parcels
        ),
        step(
            "notebook",
            f"push {pushable.name}, private, {internet}, {pushable.accelerator or 'no accelerator'}",
            pushable.path.stat().st_size,
        ),
        step("run", "wait for its run"),
        step("output", f"download {NOTEBOOK_OUTPUT} and check it"),
        PlannedStep(
            "submission",
            f"submit the notebook's version to {pushable.competition}",
            None,
            "done" if counted else "to do",
            f"number {entry.number}" if entry is not None and counted else "",
        ),
    ]


def _go(workspace: Workspace, packed: Packed, shipment: Shipment, late: bool, again: bool, say: Say) -> Entry:
    """Every step that is not done."""
    datasets = shipment.datasets()
    version = shipment.push()
    shipment.wait_for_run(version)
    output = shipment.output(version)
    pushable = shipment.notebook
    target = KaggleLeaderboard(
        shipment.client, read_declaration(workspace).metric_name, shipment.address, version, late
    )
    versions = ", ".join(f"{part} version {number}" for part, number in datasets.items())
    with exclusively(workspace, say):
        planned = with_plan(load(workspace, say))
        prepared = prepare_output(
            planned,
            output,
            pushable.content,
            target.name,
            source=packed.manifest.source,
            notebook=target.notebook,
            told=f"pack {packed.manifest.id}, {versions}",
            result=_result(Inventory(planned), packed.manifest.source_name),
        )
        shipment.keep_output(output, version)
        entry = sending.submit(planned.competition, prepared, target, allowed=Permissions(again=again), say=say)
    assert entry is not None  # nobody was asked
    shipment.journal.note("submission", "done", {"number": entry.number, "reference": entry.outcome.reference})
    note_runs(workspace, [run_of("ship", packed.manifest.source_name, entry)], say)
    return entry


def _begun(client: KaggleClient, pushable: Pushable, folder: Path, seconds: float, say: Say) -> Shipment:
    owner = str(client.call("account"))
    refuse_other_account(journal_in(folder), owner)
    return Shipment(client, pushable, folder, owner, seconds, say)


def _shipped_before(workspace: Workspace, slug: str, pushable: Pushable) -> Entry | None:
    """The submission of just this content, if Kaggle has one; one that was cut off is none yet."""
    for entry in reversed(ledger_of(workspace).entries()):
        same = entry.submission.content == pushable.content and entry.submission.target == f"kaggle {slug}"
        if same and entry.counted and not entry.pending:
            return entry
    return None


def _result(inventory: Inventory, name: str) -> Result | None:
    """What was packed, where it still holds; its honest score goes into the ledger."""
    try:
        return inventory.find(name)
    except UserError:
        return None


def _slug(declared: CompetitionDeclaration) -> str:
    submission = declared.submission
    if submission.target != "kaggle" or submission.kaggle is None:
        raise SubmissionError(
            '[submission] target is "local", and a pack is shipped to Kaggle: say target = "kaggle" and '
            'kaggle = "SLUG", the last part of the competition\'s address; `compete submit` sends CSV files'
        )
    return submission.kaggle


def _seconds(text: str) -> float:
    try:
        return seconds_of(text)
    except ValueError as error:
        raise UserError(f"--run-within, run_within: {error}") from None


def _summary(found: Shipped, left: int) -> str:
    lines = [f"pack {found.pack} -> {found.notebook} -> {found.competition}"]
    for number, each in enumerate(found.steps, 1):
        size = "" if not each.bytes else f", {size_text(each.bytes)}"
        lines.append(f"{number}. {each.what}{size}: {each.state}{f', {each.result}' if each.result else ''}")
    return "\n".join([*lines, f"submissions left today, this one among them: {left}"])


def files_text(files: Collection[object]) -> str:
    """How many there are."""
    return f"{len(files)} file{'s' * (len(files) != 1)}"


def size_text(size: int) -> str:
    """Bytes for people."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size} bytes"
