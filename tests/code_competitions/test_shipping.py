"""A pack on its way to a scored submission, against the stand-in with the unmodified client."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compete.code_competitions import journal as journal_module
from compete.code_competitions import shipping
from compete.competition.workspace import Workspace
from compete.errors import CompeteError
from compete.experiments.run_log import read_log
from compete.reporting.records import shipped_record, to_json
from compete.submissions.kaggle import kaggle_leaderboard
from compete.submissions.kaggle.client import KaggleClient
from compete.workflows.ship import Shipped, ship
from support.kaggle_client import lasting_client
from support.kaggle_service import Fault, KaggleService
from support.kaggle_storage import Pushed, Storage, Version
from support.kaggle_toy import SLUG, command_here, guesses, toy_competition
from support.shipped import (
    ADDRESS,
    FILES,
    PARTS,
    assert_shipped_once,
    code_competition,
    entries,
    make_pack,
    make_workspace,
    predicts,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service() -> Iterator[KaggleService]:
    with code_competition() as running:
        yield running


@pytest.fixture(scope="module")
def client(service: KaggleService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KaggleClient]:
    with lasting_client(service, tmp_path_factory.mktemp("home")) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_sent(service: KaggleService) -> None:
    service.faults.clear()
    service.requests.clear()
    service.submissions.clear()
    service.storage = Storage()
    service.storage.run = predicts
    service.competitions[SLUG] = toy_competition(notebooks_only=True)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch, service: KaggleService) -> None:
    monkeypatch.setattr(kaggle_leaderboard, "SETTLED", 0.05)
    monkeypatch.setattr(kaggle_leaderboard, "_BETWEEN_LOOKS", 0.02)
    monkeypatch.setattr(journal_module, "SETTLED", 0.05)
    monkeypatch.setattr(journal_module, "BETWEEN_LOOKS", 0.02)
    monkeypatch.setattr(shipping, "FIRST_LOOK", 0.02)
    monkeypatch.setattr(shipping, "READY_WITHIN", 0.5)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("ship") / "ws")


@pytest.fixture
def workspace(made: Workspace) -> Workspace:
    """One that has sent nothing yet."""
    shutil.rmtree(made.submissions, ignore_errors=True)
    shutil.rmtree(made.root / "packs")
    make_pack(made)
    return made


Ship = Callable[..., Shipped]


@pytest.fixture
def go(workspace: Workspace, client: KaggleClient) -> Ship:
    return lambda **options: ship(workspace, client=client, **{"yes": True, **options})


def first_try(go: Ship, **options: Any) -> tuple[int, str]:
    """Exit code and message, as the command line would end."""
    try:
        go(**options)
    except CompeteError as error:
        message = str(error)
        assert len(message) > 20
        assert not re.search(r"Traceback|HTTPConnection|Max retries|<html|object at 0x|urllib3|None", message), message
        return error.exit_code, message
    return 0, ""


def run_again(service: KaggleService, workspace: Workspace, go: Ship, *, resent: bool = False) -> None:
    """Without faults: goes on to the end, or says that it was shipped before; never a second time."""
    service.faults.clear()
    code, message = first_try(go)
    assert code == 0 or "was shipped before" in message, message
    assert_shipped_once(service, workspace, resent=resent)
    asked = len(service.requests)
    code, message = first_try(go)
    assert (code, "was shipped before" in message) == (2, True)
    assert len(service.requests) == asked


def test_from_a_pack_to_a_scored_submission(service: KaggleService, workspace: Workspace, go: Ship) -> None:
    planned = go(dry_run=True)
    assert not service.requests and not workspace.submissions.exists()
    assert list(planned.table["state"]) == ["to do"] * 6
    assert planned.bytes > planned.table["bytes"]["dataset:weights/model"] == 2 * 256 * 40
    shipped = go()
    assert_shipped_once(service, workspace)
    assert service.storage.uploaded.count("model.safetensors") == 2
    assert shipped.entry is not None and shipped.entry.outcome.status == "sent"
    assert list(shipped.table["state"]) == ["done"] * 6
    assert [*shipped.table["result"]] == ["version 1"] * 5 + ["number 1"]
    assert service.submissions[0].status == "COMPLETE"
    (run,) = read_log(workspace).runs
    assert (run.run.command, run.run.kind, run.run.number) == ("ship", "submission", 1)
    document = json.loads(to_json(shipped_record(shipped.record(), shipped.entry)))
    assert [each["state"] for each in document["steps"]] == ["done"] * 6
    assert document["submission"]["source"] == f"stack blend, notebook {ADDRESS} version 1"
    for mark in ("weights/model version 1", "workspace version 1", "pack "):
        assert mark in shipped.entry.submission.message
    run_again(service, workspace, go)


CALLS = (
    "GetCompetition", "GetSubmissionLimits", "GetDataset", "GetDatasetStatus", "StartBlobUpload", "PutBlob",
    "CreateDataset", "GetKernel", "SaveKernel", "GetKernelSessionStatus", "ListKernelFiles",
    "ListKernelSessionOutput", "GetOutput", "CreateCodeSubmission",
)  # fmt: skip
FAULTS = {
    "500": Fault("", "flat"),
    "502 html": Fault("", "html", status=502),
    "400": Fault("", "flat", status=400, message="Bad request"),
    "malformed": Fault("", "malformed"),
    "cut": Fault("", "cut"),
    "cut, counted": Fault("", "cut", counted=True),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("endpoint", CALLS)
def test_a_fault_at_every_step(
    service: KaggleService, workspace: Workspace, go: Ship, endpoint: str, name: str
) -> None:
    service.faults.append(replace(FAULTS[name], endpoint=endpoint))
    first_try(go)
    assert not service.faults, "the fault met no request"
    run_again(service, workspace, go, resent=(endpoint, name) == ("PutBlob", "cut, counted"))


def test_a_new_pack_is_a_new_version_of_what_changed(service: KaggleService, workspace: Workspace, go: Ship) -> None:
    go()
    newer = {place: content[::-1][1:] for place, content in FILES.items() if place.startswith("weights")}
    make_pack(workspace, files=FILES | newer)
    service.storage.uploaded.clear()
    service.storage.run = lambda pushed: {"submission.csv": guesses(2)}
    service.faults.append(replace(FAULTS["cut, counted"], endpoint="CreateDatasetVersion"))
    go()
    assert not service.faults
    # The manifest lies with the workspace, so that both changed.
    assert {name: len(each.versions) for name, each in service.storage.datasets.items()} == dict.fromkeys(
        PARTS.values(), 2
    )
    assert [each.number for each in service.storage.notebooks[ADDRESS]] == [1, 2]
    assert len(service.submissions) == len([each for each in entries(workspace) if each.counted]) == 2


@pytest.mark.parametrize("endpoint", ["CreateDatasetVersion", "CreateDataset", "SaveKernel", "CreateCodeSubmission"])
def test_an_answer_that_comes_too_late(
    service: KaggleService,
    workspace: Workspace,
    go: Ship,
    client: KaggleClient,
    monkeypatch: pytest.MonkeyPatch,
    endpoint: str,
) -> None:
    """The call was made, and nobody answers it: the process is ended, and Kaggle asked."""
    if endpoint == "CreateDatasetVersion":
        go()
        make_pack(workspace, files=FILES | {"weights/model/more.bin": b"more"})
        service.storage.run = lambda pushed: {"submission.csv": guesses(2)}
    service.faults.append(Fault(endpoint, "hang", counted=True))
    client.call("account")  # the process is up before its patience is short

    def waiting(operation: str, seconds: float | None = None, **arguments: Any) -> Any:
        hangs = operation in ("create_dataset", "create_version", "push_notebook", "submit_code") and service.faults
        return KaggleClient.call(client, operation, 1.5 if hangs else seconds, **arguments)

    monkeypatch.setattr(client, "call", waiting)
    first_try(go)
    assert not service.faults
    monkeypatch.undo()
    if endpoint != "CreateDatasetVersion":
        run_again(service, workspace, go)
        return
    assert all(len(each.versions) == 2 for each in service.storage.datasets.values())


def test_while_kaggle_takes_its_time(service: KaggleService, workspace: Workspace, go: Ship) -> None:
    storage = service.storage
    storage.ready_after, storage.run_after = 2, 2
    told = list[str]()
    go(say=told.append)
    assert_shipped_once(service, workspace)
    assert sum("waiting" in each for each in told) == 3
    assert service.endpoints().count("GetDatasetStatus") == 6


def test_a_dataset_that_is_never_ready(service: KaggleService, workspace: Workspace, go: Ship) -> None:
    service.storage.ready_after = -1
    for _ in range(2):
        code, message = first_try(go)
        assert (code, "is not ready after" in message) == (1, True), message
    assert len(service.storage.datasets) == 1 and not service.storage.notebooks
    service.storage.ready_after = 0
    for dataset in service.storage.datasets.values():
        dataset.versions[-1].polls_left = 0
    run_again(service, workspace, go)


def test_a_dataset_that_cannot_be_unpacked_is_uploaded_again(
    service: KaggleService, workspace: Workspace, go: Ship
) -> None:
    service.storage.fail_processing = 1
    code, message = first_try(go)
    assert (code, "could not unpack version 1" in message) == (1, True), message
    go()
    assert sorted(len(each.versions) for each in service.storage.datasets.values()) == [1, 2]
    assert len(service.submissions) == 1


def test_a_notebook_that_fails_says_why_and_is_pushed_again(
    service: KaggleService, workspace: Workspace, go: Ship
) -> None:
    service.storage.run = lambda pushed: "Your notebook tried to allocate more memory than is available"
    code, message = first_try(go)
    assert (code, "tried to allocate more memory" in message) == (1, True), message
    log = next(workspace.shipments.glob("*/toy-small.log"))
    assert "tried to allocate" in log.read_text(encoding="utf-8") and str(log) in message
    assert not service.submissions and not entries(workspace)
    service.storage.run = predicts
    go()
    assert [each.number for each in service.storage.notebooks[ADDRESS]] == [1, 2]
    assert [each.submission.source for each in entries(workspace)] == [f"stack blend, notebook {ADDRESS} version 2"]
    assert len(service.storage.uploaded) == len(FILES) + 1


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"other.csv": b"id"}, "wrote no submission.csv, but other.csv"),
        ({"submission.csv": b"id,joy\nb0,1\n"}, "has the columns id, joy"),
        ({"submission.csv": guesses(1)[:-20]}, "001_blend.csv"),
    ],
)
def test_an_output_that_is_no_submission(
    service: KaggleService, workspace: Workspace, go: Ship, written: dict[str, bytes], words: str
) -> None:
    service.storage.run = lambda pushed: written
    for _ in range(2):
        code, message = first_try(go)
        assert (code, words in message) == (2, True), message
    assert not service.submissions and not entries(workspace)
    assert not list(workspace.submissions.glob("*.csv"))
    assert len(service.storage.notebooks[ADDRESS]) == 1


def test_an_output_that_is_too_big_is_not_downloaded(service: KaggleService, workspace: Workspace, go: Ship) -> None:
    service.storage.listed_sizes = {"submission.csv": 2**40}
    code, message = first_try(go)
    assert (code, "1,099,511,627,776 bytes" in message) == (2, True), message
    assert "GetOutput" not in service.endpoints() and not service.submissions


def test_a_quota_that_is_spent(service: KaggleService, workspace: Workspace, go: Ship) -> None:
    service.storage.quota = "You have exceeded your private dataset quota"
    code, message = first_try(go)
    assert (code, service.storage.quota in message) == (2, True), message
    service.storage.quota = ""
    run_again(service, workspace, go)


def test_a_name_that_is_taken(service: KaggleService, workspace: Workspace, go: Ship) -> None:
    service.storage.taken = set(PARTS.values())
    code, message = first_try(go)
    assert (code, "already exists" in message) == (2, True), message
    service.storage.taken = set()
    run_again(service, workspace, go)


def test_a_version_that_somebody_laid_over_it(service: KaggleService, workspace: Workspace, go: Ship) -> None:
    """Before the push it would be run with the wrong files: what was packed is uploaded again."""
    service.faults.append(Fault("SaveKernel", "flat"))
    first_try(go)
    service.storage.datasets[PARTS["weights/model"]].versions.append(Version({"other": b""}, "by hand"))
    go()
    assert len(service.storage.datasets[PARTS["weights/model"]].versions) == 3
    assert len(service.submissions) == 1


def test_a_version_of_the_notebook_that_somebody_pushed_meanwhile(
    service: KaggleService, workspace: Workspace, go: Ship
) -> None:
    """It is this one's version that is waited for, downloaded and submitted."""
    service.faults.append(Fault("SaveKernel", "cut", counted=True))
    service.faults.append(Fault("GetKernel", "flat", times=1))
    service.faults.append(Fault("GetKernelSessionStatus", "flat", status=400, message="Bad request"))
    first_try(go)
    first_try(go)
    ours = service.storage.notebooks[ADDRESS][0]
    other = Pushed(ours.owner, ours.name, 2, {**ours.request, "text": "{}"}, {}, {"submission.csv": b"other"})
    service.storage.notebooks[ADDRESS].append(other)
    service.faults.clear()
    go()
    assert [each.content for each in service.submissions] == [guesses(1)]
    assert entries(workspace)[-1].submission.source.endswith("version 1")


def test_a_version_that_kaggle_does_not_know(service: KaggleService, workspace: Workspace, go: Ship) -> None:
    service.faults.append(Fault("CreateCodeSubmission", "flat", status=404, message="Notebook version not found"))
    code, message = first_try(go)
    assert (code, "knows no such version" in message) == (2, True), message
    run_again(service, workspace, go)


def test_what_is_refused_before_anything_is_sent(
    service: KaggleService, workspace: Workspace, go: Ship, tmp_path: Path
) -> None:
    def refused(words: str, **options: Any) -> None:
        code, message = first_try(go, **options)
        assert (code, words in message) == (2, True), message
        assert not service.storage.datasets and not service.storage.notebooks and not service.submissions

    refused("say --yes", yes=False)
    refused("--accelerator 'p100'", accelerator="p100")
    refused("no length of time", run_within="soon")
    refused("cannot be a pack's name", pack="../small")
    refused("other is no pack", pack="other")
    competition = service.competitions[SLUG]
    competition.notebooks_only = False
    refused("takes CSV files")
    competition.notebooks_only, competition.joined = True, False
    refused("has not joined")
    competition.joined, competition.daily_limit = True, 0
    refused("daily limit is spent")
    competition.daily_limit = 50
    weights = workspace.root / "packs" / "small" / "weights" / "model" / "fold_0" / "model.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-1] + b"?")
    refused("weights/model/fold_0/model.safetensors is not the file that was packed")
    weights.unlink()
    refused("model.safetensors is missing")
    weights.write_bytes(kept)
    make_pack(workspace, kaggle="other")
    refused("was packed for 'other'")
    make_pack(workspace, kaggle=None, competition="another")
    refused("was packed for 'another'")
    make_pack(workspace, "second")
    refused("which pack? There are second, small", pack=None)
    shutil.rmtree(workspace.packs)
    refused("there is no pack yet")
    make_pack(workspace)
    (workspace.root / "competition.toml").write_text(
        (declared := (workspace.root / "competition.toml").read_text(encoding="utf-8")).replace('"kaggle"', '"local"'),
        encoding="utf-8",
    )
    refused('[submission] target is "local"')
    (workspace.root / "competition.toml").write_text(declared, encoding="utf-8")


def test_a_notebook_of_another_competition_is_not_written_over(
    service: KaggleService, workspace: Workspace, go: Ship
) -> None:
    go()
    service.storage.notebooks[ADDRESS][0].request["competitionDataSources"] = ["other"]
    shutil.rmtree(workspace.submissions)
    service.submissions.clear()
    code, message = first_try(go)
    assert (code, "of another competition (other)" in message) == (2, True), message
    assert len(service.storage.notebooks[ADDRESS]) == 1 and not service.submissions
    go(notebook="toy-second")
    assert [*service.storage.notebooks] == [ADDRESS, "ann/toy-second"] and len(service.submissions) == 1


def test_a_public_dataset_is_not_added_to(service: KaggleService, workspace: Workspace, go: Ship) -> None:
    service.faults.append(Fault("SaveKernel", "flat"))
    first_try(go)
    service.storage.datasets[PARTS["weights/model"]].is_private = False
    code, message = first_try(go)
    assert (code, "is public" in message) == (2, True), message


def test_another_account_does_not_go_on(service: KaggleService, workspace: Workspace, go: Ship) -> None:
    service.faults.append(Fault("SaveKernel", "flat"))
    first_try(go)
    (journal,) = workspace.shipments.glob("*/journal.json")
    journal.write_text(journal.read_text(encoding="utf-8").replace('"ann"', '"bob"'), encoding="utf-8")
    code, message = first_try(go)
    assert (code, "was begun as 'bob'" in message) == (2, True), message


def test_who_says_no_has_sent_nothing(service: KaggleService, workspace: Workspace, go: Ship) -> None:
    asked = list[str]()

    def no(question: str) -> bool:
        asked.append(question)
        return False

    found = go(yes=False, ask=no)
    assert found.entry is None and found.notice == "nothing was sent"
    assert asked == ["Send it to Kaggle as ann, private, and submit it to toy?"]
    assert {"GetCompetition", "GetSubmissionLimits"} == set(service.endpoints())


def test_no_credential_is_written_anywhere(service: KaggleService, workspace: Workspace, go: Ship) -> None:
    told = list[str]()
    service.storage.run = lambda pushed: "failed"
    _, message = first_try(go, say=told.append)
    service.storage.run = predicts
    go(say=told.append)
    written = b"".join(path.read_bytes() for path in workspace.root.rglob("*") if path.is_file())
    said = "".join([message, *told]).encode()
    pushed = b"".join(each.text.encode() for each in service.storage.notebooks[ADDRESS])
    for secret in (b"secret", b"YW5uOnNlY3JldA", b"blob-upload", b"dataset-blob"):
        assert secret not in written + said + pushed


def test_the_command_line(service: KaggleService, workspace: Workspace, tmp_path: Path) -> None:
    """Without credentials it plans; with them it asks, sends and tells; nothing of them is printed."""
    home = tmp_path / "home"
    nothing = {"KAGGLE_USERNAME": "", "KAGGLE_KEY": ""}
    planned = command_here(service, home, workspace.root, "ship", "--dry-run", **nothing)
    assert (planned.returncode, "nothing was sent: --dry-run" in planned.stderr) == (0, True), planned.stderr
    assert "private dataset toy-small-weights-model" in " ".join(planned.stdout.split()) and "20.5 kB" in planned.stdout
    refused = command_here(service, home, workspace.root, "ship", "--yes", **nothing)
    assert (refused.returncode, "no Kaggle credentials were found" in refused.stderr) == (2, True)
    refused = command_here(service, home, workspace.root, "ship")
    assert (refused.returncode, "say --yes" in refused.stderr) == (2, True)
    assert not service.storage.datasets
    sent = command_here(service, home, workspace.root, "ship", "small", "--yes")
    assert sent.returncode == 0, sent.stderr
    assert sent.stdout.count("done") == 6 and "version 1" in sent.stdout
    again = command_here(service, home, workspace.root, "ship", "--yes")
    assert (again.returncode, "was shipped before" in again.stderr) == (2, True)
    assert_shipped_once(service, workspace)
    neither = command_here(service, home, workspace.root, "jobs", "collect")
    assert (neither.returncode, "--kaggle OWNER/NOTEBOOK" in neither.stderr) == (2, True)
    output = "".join(run.stdout + run.stderr for run in (planned, refused, sent, again, neither))
    assert "secret" not in output and "Traceback" not in output
