"""A Ray cluster of two nodes with folders of their own gives the bytes of training here, through what goes wrong."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import compete
from compete.competition.workspace import Workspace
from conftest import build_workspace
from support.jobs import is_still, wait_until
from support.one_model import edit

pytestmark = pytest.mark.slow
pytest.importorskip("ray")

PATIENCE = 90.0
SOURCE = str(Path(compete.__file__).parents[1])
# What a family does before it learns; NODE is a node's own folder, and no variable where nothing is a node.
BEFORE = "        time.sleep(self.settings.seconds)\n"
SLEEPS_ON_THE_SECOND = """        import os, pathlib
        node = pathlib.Path(os.environ.get("NODE", "."))
        print("on", node.name)
        if node.name == "doomed":
            (node / "busy").touch()
            time.sleep(600)
"""
COUNTS_AND_FAILS = """        import os, pathlib
        from compete.errors import UserError
        with (pathlib.Path(os.environ["NODE"]).parent / "tries").open("a") as file:
            file.write("x")
        raise UserError("no such column")
"""
IS_KILLED_ONCE = """        import os, pathlib, signal
        if "NODE" in os.environ:
            mark = pathlib.Path(os.environ["NODE"]).parent / f"killed {len(texts)} {context.seed}"
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
"""
BEATS = """        import os, pathlib
        for _ in range(3000):
            with (pathlib.Path(os.environ["NODE"]) / "beats").open("a") as file:
                file.write("x")
            time.sleep(0.02)
"""


@dataclass
class Nodes:
    """A cluster; every node has a folder of its own, which it works and keeps temporary files in."""

    root: Path
    address: str
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *options: str, path: str = SOURCE) -> None:
        folder = self.root / name
        folder.mkdir()
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", *options]
        command += ["--num-cpus=1", "--num-gpus=0", "--object-store-memory=80000000", "--block"]
        own = {"PYTHONPATH": path, "TMPDIR": str(folder), "NODE": str(folder), "RAY_USAGE_STATS_ENABLED": "0"}
        log = (folder / "log").open("wb")
        with log:
            self.running[name] = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **own}, stdout=log, stderr=log, start_new_session=True
            )
        wait_until(lambda: b"Ray runtime started" in (folder / "log").read_bytes(), PATIENCE)

    def join(self, name: str, path: str = SOURCE) -> None:
        self.start(name, f"--address={self.address}", path=path)

    def kill(self, name: str) -> None:
        """The node with all that it started."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    # The sockets in it have paths that may be 107 letters long.
    root = Path(tempfile.mkdtemp(prefix="ray"))
    found = Nodes(root, f"127.0.0.1:{free_port()}")
    try:
        port = found.address.rpartition(":")[2]
        found.start("first", "--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={root / 'ray'}")
        found.join("second")
        yield found
    finally:
        for name in list(found.running):
            found.kill(name)
        shutil.rmtree(root, ignore_errors=True)


def free_port() -> int:
    """One below those that Ray gives its workers."""
    for port in range(6400 + os.getpid() % 1000, 9999):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no port is free")


@dataclass
class Pair:
    """Two copies of a workspace: one trains on the cluster, the other here."""

    away: Workspace
    here: Workspace
    address: str

    def before_learning(self, code: str) -> None:
        for workspace in (self.away, self.here):
            edit(workspace.root / "families.py", BEFORE, code)

    def start(self, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "compete.cli.main", "train-base", "--all", "--size", "miniature", *options]
        command += ["--on", "ray", "--address", self.address, "--threads", "1"]
        return subprocess.Popen(
            command,
            cwd=self.away.root,
            env={**os.environ, "PYTHONPATH": SOURCE},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Tests that run in the background of a shell do not get Ctrl-C, and nor would their children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, *options: str) -> tuple[int, str]:
        process = self.start(*options)
        _, said = process.communicate(timeout=PATIENCE * 2)
        return process.returncode, said

    def assert_same_bytes(self) -> None:
        command = [sys.executable, "-m", "compete.cli.main", "train-base", "--all", "--size", "miniature"]
        environment = {**os.environ, "PYTHONPATH": SOURCE}
        subprocess.run(
            [*command, "--threads", "1"], cwd=self.here.root, env=environment, check=True, capture_output=True
        )
        assert tables(self.away) == tables(self.here)
        assert len(tables(self.here)) == 1 + 2 * (2 + 2 * 3)


@pytest.fixture
def pair(nodes: Nodes, tmp_path: Path) -> Pair:
    return Pair(build_workspace(tmp_path / "away"), build_workspace(tmp_path / "here"), nodes.address)


def tables(workspace: Workspace) -> dict[str, bytes]:
    return {str(path.relative_to(workspace.oof)): path.read_bytes() for path in workspace.oof.rglob("*.parquet")}


def test_the_bytes_are_those_of_training_here(pair: Pair) -> None:
    pair.before_learning(SLEEPS_ON_THE_SECOND)
    code, said = pair.run()
    assert code == 0, said
    assert "on 2 nodes of the Ray cluster" in said and "6 jobs, 2 at once, 1 threads each" in said
    logs = "".join(path.read_text(encoding="utf-8") for path in pair.away.oof.rglob("*.log"))
    assert "on first" in logs and "on second" in logs
    pair.assert_same_bytes()


def test_jobs_of_a_node_that_is_killed_are_done_elsewhere(pair: Pair, nodes: Nodes) -> None:
    pair.before_learning(SLEEPS_ON_THE_SECOND)
    nodes.join("doomed")
    process = pair.start()
    wait_until((nodes.root / "doomed" / "busy").exists, PATIENCE)
    nodes.kill("doomed")
    _, said = process.communicate(timeout=PATIENCE * 2)
    assert process.returncode == 0, said
    pair.assert_same_bytes()


def test_a_users_mistake_is_not_tried_again(pair: Pair, nodes: Nodes) -> None:
    pair.before_learning(COUNTS_AND_FAILS)
    code, said = pair.run()
    assert code == 1, said
    assert "6 of 6 jobs failed" in said
    assert "words folds 0, 1, 2: UserError: no such column (log: oof/words/logs/fold_" in said
    assert (nodes.root / "tries").read_text() == "x" * 6
    assert "Traceback" in pair.away.base_model("words").log(0).read_text(encoding="utf-8")


def test_a_process_that_is_killed_is_started_again(pair: Pair) -> None:
    pair.before_learning(IS_KILLED_ONCE)
    code, said = pair.run()
    assert code == 0, said
    pair.assert_same_bytes()


def test_ctrl_c_ends_what_runs_on_the_nodes(pair: Pair, nodes: Nodes) -> None:
    pair.before_learning(BEATS)
    process = pair.start()
    hearts = [nodes.root / name / "beats" for name in ("first", "second")]
    wait_until(lambda: all(heart.exists() for heart in hearts), PATIENCE)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert "stopped: what was finished is kept" in said
    wait_until(lambda: all(is_still(heart) for heart in hearts), PATIENCE)


def refused(pair: Pair, *said: str) -> None:
    code, printed = pair.run()
    assert code == 2, printed
    assert printed.count("error: ") == 1 and "Traceback" not in printed
    for part in said:
        assert part in printed
    assert not list(pair.away.oof.rglob("part.json"))


def test_too_few_gpus_are_said_before_anything_is_sent(pair: Pair) -> None:
    with pair.away.declaration.open("a", encoding="utf-8") as file:
        file.write("\n[execution]\ngpus = 2\n")
    refused(pair, "words fold 0 needs 1 CPUs, 2 GPUs", "no node of the cluster has them", "free at the moment: 2 CPUs")


def test_an_address_where_there_is_no_cluster(pair: Pair) -> None:
    pair.address = f"127.0.0.1:{free_port()}"
    refused(pair, f"no Ray cluster can be used at {pair.address}", "refused", "ray start --head")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        pair.address = f"127.0.0.1:{silent.getsockname()[1]}"
        refused(pair, "something else than Ray listens there")


def test_a_node_with_another_version_is_named(pair: Pair, nodes: Nodes) -> None:
    site = nodes.root / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("import compete\ncompete.__version__ = '99.0'\n", encoding="utf-8")
    nodes.join("newer", path=os.pathsep.join([str(site), SOURCE]))
    try:
        refused(pair, "has compete 99.0, this machine", "install the same version everywhere")
    finally:
        nodes.kill("newer")


def test_a_node_without_compete_is_named(pair: Pair, nodes: Nodes) -> None:
    site = nodes.root / "without"
    site.mkdir()
    (site / "sitecustomize.py").write_text("import sys\nsys.modules['compete'] = None\n", encoding="utf-8")
    nodes.join("empty", path=os.pathsep.join([str(site), SOURCE]))
    try:
        refused(pair, "cannot run compete", "Install it there")
    finally:
        nodes.kill("empty")
