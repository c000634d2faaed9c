"""Steps of a shipment: datasets, the notebook, its run, what it wrote. Each is done once.

dataset:<part>   uploaded as a private dataset, or as a further version of it; ready
notebook         pushed, which starts its run
run              ended
output           downloaded
submission       of the notebook's version, through the ledger (workflows/ship.py)
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from compete import atomic
from compete.code_competitions.journal import Facts, Journal, Step, once
from compete.code_competitions.parcels import LICENSE, Parcel, Pushable
from compete.errors import CompeteError, KaggleError, SubmissionError, UserError
from compete.printable import listed, on_one_line, shown
from compete.submissions.kaggle.client import PATIENCE, SITE, SLOWEST, KaggleClient
from compete.submissions.kaggle.kaggle_leaderboard import NOTEBOOK_OUTPUT

READY_WITHIN = 3600.0  # seconds that Kaggle may take to unpack a dataset
MOST_OUTPUT = 2**30  # bytes of a submission that are downloaded
FIRST_LOOK, SLOWEST_LOOK = 5.0, 60.0  # seconds between looks at what takes its time
_OLDER_VERSIONS = 5  # that are looked through for a notebook that was pushed before others
_SETTLED = ("ready", "failed", "deleted")
_OVER = ("complete", "error", "cancel_acknowledged")
_WAITING_FOR_RESUME = "the same command goes on waiting"


@dataclass
class Shipment:
    """One notebook and its datasets on their way; `owner` is the account that they belong to."""

    client: KaggleClient
    notebook: Pushable
    folder: Path
    """Its journal, and what it downloads."""
    owner: str
    run_within: float
    """Seconds that are waited for the run."""
    say: Callable[[str], None] = field(default=lambda sentence: None, repr=False)

    @property
    def journal(self) -> Journal:
        return journal_in(self.folder)

    @property
    def address(self) -> str:
        return f"{self.owner}/{self.notebook.name}"

    @property
    def page(self) -> str:
        return f"{SITE}/code/{self.address}"

    def datasets(self) -> dict[str, int]:
        """Upload what is not there; the version of every dataset by its part."""
        pushed = self._is_done("notebook")
        return {parcel.part: self._dataset(parcel, pushed) for parcel in self.notebook.parcels}

    def push(self) -> int:
        """Push the notebook, which runs it; its version."""
        about: dict[str, Any] = {"owner": self.owner, "name": self.notebook.name}
        failed = self._failed("notebook")

        def find() -> Facts | None:
            latest = self.client.call("notebook", **about)
            return None if latest is None else self._pushed(latest, failed, about)

        def do() -> Facts:
            with atomic.scratch_folder() as scratch:
                self.notebook.lay_out(scratch, self.owner)
                answer = self.client.call("push_notebook", folder=str(scratch), session=self.notebook.seconds)
            return {"version": self._accepted(answer)}

        facts = once(self.journal, Step("notebook", f"the notebook {self.address}", find, do), self.say)
        return _version(facts, self.journal.path)

    def wait_for_run(self, version: int) -> None:
        """Until the run has ended; raises KaggleError if it failed, or did not end in time."""
        if self._is_done("run"):
            return
        about: dict[str, Any] = {"owner": self.owner, "name": self.notebook.name, "version": version}
        found = self._until(
            lambda: self.client.call("notebook_run", **about),
            lambda run: run["status"] in _OVER,
            self.run_within,
            f"the notebook {self.address} version {version} has not ended",
        )
        if found["status"] != "complete":
            self.journal.note("notebook", "failed", {"version": version})
            raise KaggleError(
                f"the notebook {self.address} version {version} failed on Kaggle ({self._why(found)}), and nothing was "
                f"submitted{self._log(about)}; see {self.page}. The same command pushes it again."
            )
        self.journal.note("run", "done", {"version": version})

    def output(self, version: int) -> Path:
        """The submission that the run wrote, downloaded; anew until `keep_output` says that it is one."""
        path, noted = self.folder / "output" / NOTEBOOK_OUTPUT, self.journal.noted("output")
        kept = path.is_file() and noted is not None and noted.state == "done"
        if kept and noted is not None and atomic.sha256_file(path) == noted.facts.get("sha256"):
            return path
        about: dict[str, Any] = {"owner": self.owner, "name": self.notebook.name, "version": version}
        sizes = {str(each["name"]): int(each["bytes"]) for each in self.client.call("notebook_files", **about)}
        self._refuse_output(sizes, version)
        seconds = PATIENCE + sizes[NOTEBOOK_OUTPUT] / SLOWEST
        with atomic.new_folder(path.parent) as scratch:
            wanted = f"^{re.escape(NOTEBOOK_OUTPUT)}$"
            self.client.call("notebook_output", seconds, folder=str(scratch), pattern=wanted, **about)
            if not (scratch / NOTEBOOK_OUTPUT).is_file():
                raise KaggleError(f"{NOTEBOOK_OUTPUT} of {self.address} could not be downloaded: try again")
        return path

    def keep_output(self, path: Path, version: int) -> None:
        """Write down that what was downloaded is a submission."""
        facts = {"sha256": atomic.sha256_file(path), "bytes": path.stat().st_size, "version": version}
        self.journal.note("output", "done", facts)

    # A dataset

    def _dataset(self, parcel: Parcel, pushed: bool) -> int:
        about: dict[str, Any] = {"owner": self.owner, "name": parcel.name}
        name = f"dataset:{parcel.part}"
        failed = self._failed(name)

        def find() -> Facts | None:
            found = self._settled_dataset(about)
            # One that could not be unpacked is none: it is uploaded again.
            return None if found is None or found["status"] == "failed" else _held(found, parcel, failed)

        def do() -> Facts:
            return self._upload(parcel, about)

        step = Step(name, f"the dataset {self.owner}/{parcel.name}", find, do, parcel_seconds(parcel))
        # Until the notebook is pushed somebody may lay another version over it, which the notebook would be run with.
        facts = once(self.journal, step, self.say, trust=pushed)
        if "version" not in facts:
            facts = self._ready(parcel, about, failed)
            self.journal.note(name, "done", facts)
        shutil.rmtree(self._laid_out(parcel), ignore_errors=True)
        return _version(facts, self.journal.path)

    def _upload(self, parcel: Parcel, about: Mapping[str, Any]) -> Facts:
        folder = self._laid_out(parcel)
        parcel.lay_out(folder)
        there = self.client.call("dataset", **about)
        self.say(f"uploading {about['owner']}/{about['name']}: {len(parcel.files)} files, {parcel.bytes / 1e6:,.1f} MB")
        seconds, note = parcel_seconds(parcel), f"{parcel.part}, {parcel.mark}"
        what: dict[str, Any] = {**about, "folder": str(folder), "note": note}
        if there is None:
            self.client.call("create_dataset", seconds, title=parcel.name, license_name=LICENSE, **what)
        else:
            self.client.call("create_version", seconds, **what)
        return {}

    def _settled_dataset(self, about: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What Kaggle says of a dataset when it has done with its latest version; None if there is none."""
        if self.client.call("dataset", **about) is None:
            return None
        status = self._until(
            lambda: self.client.call("dataset_status", **about),
            lambda status: status in _SETTLED,
            READY_WITHIN,
            f"the dataset {about['owner']}/{about['name']} is not ready",
        )
        found = self.client.call("dataset", **about)
        return None if found is None else {**found, "status": status}

    def _ready(self, parcel: Parcel, about: Mapping[str, Any], failed: int) -> Facts:
        """The version that was just uploaded, once Kaggle has unpacked it."""

        def look() -> Facts:
            found = self._settled_dataset(about)
            held = None if found is None else _held(found, parcel, failed)
            return {} if found is None or held is None else {**held, "status": found["status"]}

        address = f"{about['owner']}/{about['name']}"
        facts = self._until(look, lambda held: "version" in held, READY_WITHIN, f"the dataset {address} is not listed")
        version = {"version": facts["version"]}
        if facts["status"] != "ready":
            self.journal.note(f"dataset:{parcel.part}", "failed", version)
            raise KaggleError(
                f"Kaggle could not unpack version {facts['version']} of the dataset {address}; see "
                f"{SITE}/datasets/{address}. The same command uploads it again."
            )
        return version

    def _laid_out(self, parcel: Parcel) -> Path:
        return self.folder / "upload" / parcel.part

    # The notebook

    def _pushed(self, latest: Mapping[str, Any], failed: int, about: Mapping[str, Any]) -> Facts | None:
        """The version that holds just this notebook, of the last few; refused where it is of another competition."""
        if self.notebook.competition not in latest["competitions"]:
            belongs = listed(map(str, latest["competitions"])) or "none"
            raise SubmissionError(
                f"the notebook {self.address} is there already, and of another competition ({on_one_line(belongs)}): "
                "give this one a name of its own (--notebook NAME)"
            )
        last = int(latest["version"])
        for version in range(last, max(failed, last - _OLDER_VERSIONS), -1):
            found = latest if version == last else self.client.call("notebook", version=version, **about)
            if found is not None and self.notebook.mark in found["source"]:
                return {"version": version}
        return None

    def _accepted(self, answer: Mapping[str, Any]) -> int:
        if answer["error"] or answer["invalid"] or answer["version"] < 1:
            lacking = "; ".join(f"{what}: {', '.join(names)}" for what, names in answer["invalid"].items())
            why = on_one_line(f"{answer['error']} {lacking}".strip()) or "it named no version"
            raise SubmissionError(f"Kaggle does not take the notebook {self.address} ({why})")
        return int(answer["version"])

    def _refuse_output(self, sizes: Mapping[str, int], version: int) -> None:
        where = f"the notebook {self.address} version {version}"
        if NOTEBOOK_OUTPUT not in sizes:
            wrote = listed((on_one_line(name) for name in sizes), 5) or "nothing"
            raise SubmissionError(f"{where} wrote no {NOTEBOOK_OUTPUT}, but {wrote}: nothing was submitted")
        if sizes[NOTEBOOK_OUTPUT] > MOST_OUTPUT:
            raise SubmissionError(
                f"{where} wrote a {NOTEBOOK_OUTPUT} of {sizes[NOTEBOOK_OUTPUT]:,} bytes, at most {MOST_OUTPUT:,} are "
                "downloaded: nothing was submitted"
            )

    def _why(self, run: Mapping[str, str]) -> str:
        if run["status"] == "cancel_acknowledged":
            return "it was cancelled"
        return on_one_line(run["reason"])[:300] or "no reason given"

    def _log(self, about: Mapping[str, Any]) -> str:
        """Where the log of the run lies now; it is no loss where it cannot be had."""
        with contextlib.suppress(CompeteError):
            self.folder.mkdir(parents=True, exist_ok=True)
            self.client.call("notebook_output", folder=str(self.folder), pattern=r"(?!)", **about)
            return f"; its log: {self.folder / self.notebook.name}.log"
        return ""

    # The journal, and waiting

    def _is_done(self, step: str) -> bool:
        noted = self.journal.noted(step)
        return noted is not None and noted.state == "done"

    def _failed(self, step: str) -> int:
        """The last version of a step that came to nothing; 0 if there was none."""
        noted = self.journal.noted(step)
        version = noted.facts.get("version") if noted is not None and noted.state != "done" else 0
        return version if isinstance(version, int) else 0

    def _until(self, look: Callable[[], Any], over: Callable[[Any], bool], seconds: float, what: str) -> Any:
        """Look again, less and less often; a look that Kaggle does not answer may be luckier the next time."""
        began, pause, told = time.monotonic(), FIRST_LOOK, False
        while True:
            silent: KaggleError | None = None
            try:
                found = look()
                if over(found):
                    return found
            except KaggleError as error:
                silent = error
            waited = time.monotonic() - began
            if waited >= seconds:
                if silent is not None:
                    raise silent
                raise KaggleError(f"{what} after {timedelta(seconds=round(waited))}: {_WAITING_FOR_RESUME}")
            if not told:
                self.say(f"{what} yet: waiting (Ctrl-C: no longer; {_WAITING_FOR_RESUME})")
                told = True
            time.sleep(min(pause, seconds - waited))
            pause = min(pause * 1.5, SLOWEST_LOOK)


def journal_in(folder: Path) -> Journal:
    return Journal(folder / "journal.json")


def parcel_seconds(parcel: Parcel) -> float:
    """How long its upload may take."""
    return PATIENCE * (1 + len(parcel.files) / 10) + parcel.bytes / SLOWEST


def refuse_other_account(journal: Journal, owner: str) -> None:
    """Write down whose shipment it is; raises UserError if it was begun by another account."""
    if not owner:
        raise UserError("Kaggle's client does not say whose credentials these are: no dataset can be named after them")
    noted = journal.noted("account")
    if noted is None:
        journal.note("account", "done", {"owner": owner})
    elif noted.facts.get("owner") != owner:
        raise UserError(
            f"this shipment was begun as {shown(noted.facts.get('owner'))}, and the credentials here are those of "
            f"{shown(owner)}: go on with the others, or remove {journal.path.parent} to begin anew as {owner}"
        )


def _held(found: Mapping[str, Any], parcel: Parcel, failed: int) -> Facts | None:
    """The version of a dataset that notebooks are run with, if it holds just this."""
    version = int(found["version"])
    if not found["private"]:
        raise SubmissionError(
            f"the dataset {parcel.name} is public: what is packed would be seen by everybody. Make it private on "
            f"{SITE}, or ship under another name"
        )
    if version <= failed or parcel.mark not in found["notes"].get(str(version), ""):
        return None
    return {"version": version}


def _version(facts: Facts, journal: Path) -> int:
    version = facts.get("version")
    if not isinstance(version, int) or version < 1:
        raise UserError(f"{journal} names no version where it should: remove it, and what is on Kaggle is looked for")
    return version
