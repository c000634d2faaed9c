"""A tiny workspace to test on, made in memory: no file of the repository, no network."""

from __future__ import annotations

import csv
import gc
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

import compete as compete_package
from compete.allowed_code import CONFIG
from compete.competition.data import Competition, load_competition
from compete.competition.workspace import Workspace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from compete.opened import Opened
    from support.warm_once import WarmOnce

LABELS = ("joy", "anger", "trust")

# A family that any test can train in milliseconds: log-odds of words, learnt from the training rows only.
WORDS_FAMILY = """
import time

import numpy as np
from pydantic import BaseModel


class Words:
    version = 1

    class Settings(BaseModel):
        smoothing: float = 1.0
        seconds: float = 0.0

    def __init__(self, settings):
        self.settings = settings

    def fit(self, texts, labels, context):
        time.sleep(self.settings.seconds)
        self.rate = (labels.sum(axis=0) + 1) / (len(labels) + 2)
        counts = {}
        for text, row in zip(texts, labels):
            for word in set(text.lower().split()):
                seen, positive = counts.get(word, (0, 0))
                counts[word] = (seen + 1, positive + row)
        a = self.settings.smoothing
        self.odds = {w: np.log((p + a * self.rate) / (n + a) / self.rate) for w, (n, p) in counts.items()}
        noise = np.random.default_rng(context.seed)
        self.bias = noise.normal(scale=0.01, size=labels.shape[1])
        context.curves.append({"epoch": 1, "words": len(self.odds)})
        context.progress(1.0)
        return self

    def predict_proba(self, texts):
        rows = [sum(self.odds.get(w, 0) for w in sorted(set(t.lower().split()))) for t in texts]
        logits = np.array([np.log(self.rate) + self.bias + row for row in rows]).reshape(len(texts), -1)
        return (1 / (1 + np.exp(-logits))).astype(np.float32)
"""


def make_rows(count: int, seed: int, prefix: str) -> list[dict[str, str]]:
    """Posts whose words carry their labels, with noise; trust is rare."""
    random = Random(seed)
    cues = {"joy": ("happy", "sunny"), "anger": ("furious", "rotten"), "trust": ("reliable", "steady")}
    rates = {"joy": 0.4, "anger": 0.35, "trust": 0.15}
    rows = []
    for number in range(count):
        row = {label: str(int(random.random() < rates[label])) for label in LABELS}
        words = [f"w{random.randrange(400)}" for _ in range(6)]
        for label in LABELS:
            if (row[label] == "1") != (random.random() < 0.15):
                words.append(random.choice(cues[label]))
        random.shuffle(words)
        rows.append({"id": f"{prefix}{number:04d}", "text": " ".join(words), **row})
    return rows


def write_csv(path: Path, rows: Sequence[dict[str, str]], columns: Sequence[str] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns or list(rows[0]), extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


DECLARATION = """\
name = "tiny"

[data]
train = "train.csv"
test = "test.csv"
sample_submission = "sample.csv"
id = "id"
text = "text"

[folds]
k = 3
seed = 7

[submission]
solution = "solution.csv"
"""


def build_workspace(
    root: Path,
    models: Sequence[str] = ("words", "words_smooth"),
    train: Sequence[dict[str, str]] | None = None,
    test: Sequence[dict[str, str]] | None = None,
) -> Workspace:
    """A workspace of 240 training and 90 test rows, with quick recipes of a custom family."""
    train, test = train or make_rows(240, 1, "a"), test or make_rows(90, 2, "b")
    write_csv(root / "train.csv", train)
    write_csv(root / "test.csv", test, ["id", "text"])
    write_csv(root / "sample.csv", [{**row, **dict.fromkeys(LABELS, "0")} for row in test], ["id", *LABELS])
    usage = ("Public", "Private")
    write_csv(
        root / "solution.csv",
        [{**row, "Usage": usage[number % 2]} for number, row in enumerate(test)],
        ["id", *LABELS, "Usage"],
    )
    (root / "competition.toml").write_text(DECLARATION, encoding="utf-8")
    (root / "families.py").write_text(WORDS_FAMILY, encoding="utf-8")
    (root / "base_models").mkdir()
    (root / "stacking").mkdir()
    for number, name in enumerate(models):
        recipe = f'family = "families.py:Words"\n\n[settings]\nsmoothing = {1.0 + 4 * number}\n'
        (root / "base_models" / f"{name}.toml").write_text(recipe, encoding="utf-8")
    (root / "stacking" / "logistic.toml").write_text('method = "logistic"\n', encoding="utf-8")
    return Workspace(root.resolve())


@pytest.fixture(scope="module", autouse=True)
def _lasting() -> Iterator[None]:
    """What was imported by now is out of a module's collections of garbage: accelerate asks for one after every fit,
    and going through all that torch and transformers are made of took longer than many a fit.
    """
    gc.freeze()
    yield
    gc.unfreeze()  # who refers to an object that is frozen is not found


def pytest_runtest_call() -> None:
    """And what another test of the module imported."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _no_power_cut() -> Iterator[None]:
    """Nobody pulls the plug on a test: what is written needs not be waited for until it lies on the disk. Killed
    processes lose nothing by it. Tests of that waiting put something of their own in this place.
    """
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def _warm_processes() -> Iterator[WarmOnce]:
    from support.warm_once import WarmOnce

    made = WarmOnce()
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def _warm_once(_warm_processes: WarmOnce) -> Iterator[None]:
    """The jobs of all tests are forked from one process; only `tests/execution` starts its own."""
    with pytest.MonkeyPatch.context() as changed:
        if sys.platform == "linux":  # elsewhere nothing is forked
            changed.setattr("compete.execution.local.processes", _warm_processes)
        yield


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return build_workspace(tmp_path)


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A tiny workspace to copy, for what a whole module shares."""
    return build_workspace(tmp_path_factory.mktemp("untouched"))


@pytest.fixture(scope="session")
def untouched_shifted(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace whose test set has twice as much joy as the training rows, and enough rows to tell."""
    joyful = [row for number, row in enumerate(make_rows(700, 2, "b")) if row["joy"] == "1" or number % 4 == 0]
    return build_workspace(tmp_path_factory.mktemp("shifted"), train=make_rows(900, 1, "a"), test=joyful)


@pytest.fixture
def competition(workspace: Workspace) -> Competition:
    return load_competition(workspace)


@pytest.fixture(scope="session")
def trained_once(untouched: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Every base model of the tiny workspace is whole."""
    from support.lived_in import copied, train_models

    workspace = copied(untouched, tmp_path_factory.mktemp("trained"))
    train_models(workspace)
    return workspace


@pytest.fixture
def trained(trained_once: Workspace, tmp_path: Path) -> Workspace:
    """A copy of it, to be changed."""
    from support.lived_in import copied

    return copied(trained_once, tmp_path)


@pytest.fixture(scope="session")
def stacked_once(trained_once: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The stack `logistic` is built of them."""
    from support.lived_in import copied
    from support.stacks import build_stack

    workspace = copied(trained_once, tmp_path_factory.mktemp("stacked"))
    build_stack(load_competition(workspace))
    return workspace


@pytest.fixture(scope="session")
def worked_in(untouched: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace that somebody has worked in, for every test that only looks."""
    from support.lived_in import lived_in

    return lived_in(untouched, tmp_path_factory.mktemp("worked_in"))


@pytest.fixture(scope="session")
def opened(worked_in: Workspace) -> Opened:
    return compete_package.open(worked_in.root)


@pytest.fixture(scope="session")
def report_page(opened: Opened, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """index.html of its report, figures beside it."""
    from compete.reporting.page.report import write_report

    return write_report(opened, tmp_path_factory.mktemp("report"))


@pytest.fixture
def unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are composed and not painted, which is most of a report's time; for tests that do not look at them."""
    import matplotlib.figure

    def savefig(figure: Figure, file: IO[bytes], *, format: str, **how: Any) -> None:
        file.write({"svg": b"<svg></svg>", "png": b""}[format])

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", savefig)


def pytest_configure() -> None:
    """One thread for linear algebra, in what pytest-xdist starts beside this process and in what tests start: on a few
    hundred rows, two of them mostly wait for each other, and waiting takes processor time. Jobs get the number of
    threads that their command says; `tests/journeys/test_end_to_end.py` plays a road with what the machine has.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # What tests start imports the same modules again and again: compiled once, wherever the environment says not to.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # What the user's own workspaces may run is none of the tests' business.
    os.environ[CONFIG] = tempfile.mkdtemp(prefix="compete_tests_")


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ.pop(CONFIG), ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long modules first, so that at the end no process is left alone with one."""
    items.sort(key=lambda item: not any(item.get_closest_marker(name) for name in ("slow", "browser")))


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def compete(workspace: Workspace) -> Run:
    """Runs the command line in the tiny workspace, as a user would: a process of its own."""

    def run(*arguments: str, cwd: Path = workspace.root) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "compete.cli.main", *arguments],
            cwd=cwd,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def posts() -> tuple[list[str], NDArray[np.int8]]:
    """Posts in which "sunny" means joy and "rotten" anger."""
    random = Random(5)
    texts, rows = [], []
    for _ in range(96):
        row = (int(random.random() < 0.5), int(random.random() < 0.3))
        cues = [cue for cue, is_on in zip(("sunny", "rotten"), row, strict=True) if is_on]
        texts.append(" ".join([*cues, "day", *(f"filler{random.randrange(30)}" for _ in range(random.randrange(6)))]))
        rows.append(row)
    return texts, np.array(rows, dtype=np.int8)
