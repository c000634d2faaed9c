"""`kill -9` while a pack is shipped: the same command, run again, ends with one of everything.

In the suite at four moments. `PYTHONPATH=../src:. python -m code_competitions.test_shipping_kills`, in tests/, kills at
every call to Kaggle, before it, with it lost, and after it, and at the steps of the command itself.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from compete.errors import SubmissionError
from compete.workflows.ship import ship
from support.kaggle_client import LastingClient
from support.kaggle_service import Fault, KaggleService, Moment
from support.kaggle_storage import Storage
from support.kaggle_toy import PASSWORD, SLUG, wait_until, workers
from support.shipped import assert_shipped_once, code_competition, make_workspace, predicts, short_waits

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are looked for in /proc"),
]
TESTS = Path(__file__).parents[1]
ENDPOINTS = (
    "GetCompetition", "GetDataset", "GetDatasetStatus", "StartBlobUpload", "PutBlob", "CreateDataset", "GetKernel",
    "SaveKernel", "GetKernelSessionStatus", "ListKernelFiles", "ListKernelSessionOutput", "GetOutput",
    "GetSubmissionLimits", "CreateCodeSubmission",
)  # fmt: skip


class Killed:
    """A workspace with a pack, the service, and a driver whose forks ship it and die."""

    def __init__(self, root: Path, service: KaggleService) -> None:
        self.service, self.marker = service, f"compete-test-{uuid.uuid4().hex}"
        self.workspace = make_workspace(root / "ws")
        (root / "home").mkdir()
        environment = service.environment(root / "home") | PASSWORD
        self.client = LastingClient(SLUG, environment)
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._driver = subprocess.Popen(
            [sys.executable, "-m", "support.ship_driver", str(self.workspace.root)],
            env=environment | single | {"MARKER": self.marker, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def __enter__(self) -> Killed:
        return self

    def __exit__(self, *_: object) -> None:
        self._driver.communicate(timeout=60)
        self.client.close()

    def die(self, kill_at: int = 0, at: tuple[str, Moment] | None = None, drop: bool = False) -> dict[str, Any]:
        """Ship in a fork that dies at its step `kill_at`, or when the service is `at` that moment of a request.

        drop: the service never gets that request.
        """
        assert self._driver.stdin is not None and self._driver.stdout is not None
        self.start_over()
        process: list[int] = []
        known, done = threading.Event(), threading.Event()

        def on_request(endpoint: str, moment: Moment) -> None:
            if (endpoint, moment) == at and not done.is_set():
                known.wait(60)
                os.kill(process[0], signal.SIGKILL)
                wait_until(lambda: not workers(self.marker))
                if drop:
                    self.service.faults.append(Fault(endpoint, "cut"))
                done.set()

        self.service.on_request = on_request
        self._driver.stdin.write(json.dumps({"kill_at": kill_at}) + "\n")
        self._driver.stdin.flush()
        process.append(int(self._driver.stdout.readline()))
        known.set()
        ended: dict[str, Any] = json.loads(self._driver.stdout.readline())
        assert wait_until(lambda: not workers(self.marker)), "the process that talks to Kaggle outlives its parent"
        assert at is None or (ended["killed"] and done.wait(60))
        # The service may still be about to carry out what the killed process asked for.
        wait_until(lambda: not self.service.faults, 1.0)
        self.service.on_request = None
        return ended

    def run_again(self) -> None:
        """To the end, which is one submission of one notebook with one version of every dataset."""
        try:
            ship(self.workspace, yes=True, client=self.client)
        except SubmissionError as error:
            assert "was shipped before" in str(error)  # noqa: PT017 - it was over before the end came
        assert_shipped_once(self.service, self.workspace)  # and no file uploaded twice
        with pytest.raises(SubmissionError, match="was shipped before"):
            ship(self.workspace, yes=True, client=self.client)
        assert len(self.service.submissions) == 1
        assert not [path for path in self.workspace.submissions.rglob("*") if ".compete-tmp" in path.name]

    def start_over(self) -> None:
        shutil.rmtree(self.workspace.submissions, ignore_errors=True)
        self.service.submissions.clear()
        self.service.faults.clear()
        self.service.storage = Storage()
        self.service.storage.run = predicts


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killed]:
    with code_competition() as service, Killed(tmp_path_factory.mktemp("kills"), service) as made:
        yield made


@pytest.mark.parametrize(
    ("endpoint", "moment"),
    [("PutBlob", "after"), ("CreateDataset", "after"), ("SaveKernel", "after"), ("CreateCodeSubmission", "dropped")],
)
def test_killed_at(killed: Killed, endpoint: str, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from compete.code_competitions import journal, shipping
    from compete.submissions.kaggle import kaggle_leaderboard

    for module, name in ((journal, "SETTLED"), (kaggle_leaderboard, "SETTLED"), (shipping, "FIRST_LOOK")):
        monkeypatch.setattr(module, name, 0.05)
    killed.die(at=(endpoint, "after" if moment == "after" else "before"), drop=moment == "dropped")
    killed.run_again()


def main() -> None:
    """Kill at every call and at every seventh step of the command; what was tried is printed."""
    short_waits()
    points = 0
    with TemporaryDirectory() as folder, code_competition() as service, Killed(Path(folder), service) as killed:
        for endpoint in ENDPOINTS:
            for moment in ("before", "dropped", "after"):
                killed.die(at=(endpoint, "after" if moment == "after" else "before"), drop=moment == "dropped")
                killed.run_again()
                points += 1
                print(f"{points} {endpoint} {moment}: one of everything", flush=True)
        step = 1
        while (ended := killed.die(kill_at=step))["killed"]:
            killed.run_again()
            points += 1
            print(f"{points} step {step} {ended['last']}: one of everything", flush=True)
            step += 7
    print(f"killed at {points} points")


if __name__ == "__main__":
    main()
