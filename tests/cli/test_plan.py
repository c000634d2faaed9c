"""`compete plan` as a user types it: offline, without data, and with a probe of a checkpoint on the disk."""

from __future__ import annotations

import re
from typing import Any

import pytest

import compete as compete_package
from compete.base_models.miniatures.writing import write_miniature
from compete.competition.workspace import Workspace
from compete.execution.devices import Device
from support.in_process import Run, in_process

SHAPE = """\
model_type = "bert"
hidden_size = 384
num_hidden_layers = 6
num_attention_heads = 12
intermediate_size = 1536
vocab_size = 30522
"""
DESCRIBED = f"""\
family = "sequence_classifier"
[settings]
checkpoint = "nobody/small"
batch_size = 8
precision = "float32"
[architectures."nobody/small"]
parameters = 22_713_216
download_gb = 0.091
gated = true
[architectures."nobody/small".config]
{SHAPE}"""
UNKNOWN = 'family = "sequence_classifier"\n[settings]\ncheckpoint = "nobody/unheard-of"\n'
MINIATURE = 'family = "sequence_classifier"\n[settings]\ncheckpoint = "miniature:roberta"\n'


@pytest.fixture
def planned(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The tiny workspace with recipes of every kind, on a machine without a hub token."""
    for name, text in {"described": DESCRIBED, "unknown": UNKNOWN, "tiny": MINIATURE}.items():
        (workspace.recipes / f"{name}.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr("compete.planning.resources.get_token", lambda: None)
    return workspace


@pytest.fixture
def compete(planned: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(planned.root, monkeypatch, capsys)


def test_every_kind_of_recipe_gets_its_line(planned: Workspace, compete: Run) -> None:
    run = compete("plan")
    assert run.code == 0, run.stderr
    for line in (
        "words: no checkpoint, runs on the processor",
        "tiny (miniature:roberta): a miniature, made on the spot",
        "described (nobody/small): full; 8 rows of at most",
        "downloads 0.091 GB",
        "gated: its licence has to be accepted on its page of the hub; no hub token is there",
    ):
        assert line in run.stdout
    row = next(line for line in run.stdout.splitlines() if line.startswith("described  "))
    assert row.split()[1:4] == ["22.7", "M", "0.091"]
    unknown = next(line for line in run.stdout.splitlines() if line.startswith("unknown"))
    assert '[architectures."nobody/unheard-of"]' in unknown
    assert max(len(line) for line in run.stdout.split("\n\n")[1].splitlines()) <= 110


def test_a_token_is_seen_and_never_shown(planned: Workspace, compete: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compete.planning.resources.get_token", lambda: "hf_secret")
    run = compete("plan", "described")
    assert "a hub token is there" in run.stdout
    assert "hf_secret" not in run.stdout + run.stderr


def test_without_data_it_plans_for_texts_as_long_as_allowed(planned: Workspace, compete: Run) -> None:
    (planned.root / "train.csv").unlink()
    run = compete("plan", "described")
    assert run.code == 0, run.stderr
    assert "train.csv is not there" in run.stderr
    assert "rows of at most 128 tokens" in run.stdout
    probed = compete("plan", "described", "--probe")
    assert probed.code == 2
    assert probed.stderr.startswith("error: --probe trains on the competition's rows")


def test_a_name_that_is_no_recipe_is_a_mistake(planned: Workspace, compete: Run) -> None:
    run = compete("plan", "describde")
    assert run.code == 2
    assert "did you mean 'described'?" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_probe_says_why_there_is_none(planned: Workspace, compete: Run) -> None:
    run = compete("plan", "described", "--probe")
    assert run.code == 0, run.stderr
    assert "no probe: the checkpoint is not on this machine" in run.stdout


def test_a_mapped_folder_needs_no_download_and_can_be_probed(planned: Workspace, compete: Run) -> None:
    write_miniature("roberta", ["happy sunny furious rotten day"], planned.root / "local", seed=1)
    with planned.declaration.open("a") as file:
        file.write('\n[checkpoints]\n"nobody/small" = "local"\n')
    run = compete("plan", "described", "--probe", "--workers", "0")
    assert run.code == 0, run.stderr
    assert "its weights are on this machine" in run.stdout
    assert "all downloads" not in run.stdout
    assert "rows of at most" not in run.stdout  # its tokenizer has counted
    assert "ms per row trained" in run.stdout
    assert re.search(r"3 folds, 1 at once: about \d+\.\d+ hours", run.stdout)
    assert "sions" not in run.stdout
    run = compete("plan", "described", "--probe", "--workers", "0", "--session", "9h")
    assert re.search(r"^described +\d.* 0\.\d+ +1 +fits", run.stdout, flags=re.MULTILINE)  # one session


# Some hours of a data centre's card, so that sessions are whole numbers of them.
LARGE = DESCRIBED.replace("384", "4096").replace("1536", "16384").replace("= 6", "= 48").replace("= 12", "= 32")
LARGE = LARGE.replace('precision = "float32"', 'adaptation = "frozen"\nepochs = 2000')


def models(document: Any) -> dict[str, Any]:
    return {model["name"]: model for model in document["models"]}


def test_a_device_that_is_not_here_is_planned_for_and_said_to_be_elsewhere(planned: Workspace, compete: Run) -> None:
    run = compete("plan", "described", "--device", "2x t4")
    assert run.code == 0, run.stderr
    assert run.stdout.startswith("for 2x T4, which is not this machine: nothing of it was looked at")
    assert "GPU 0 T4: 15.8 GB of memory, trains in float16\nGPU 1 T4: 15.8 GB" in run.stdout
    assert re.search(r"^described +22.7 M .* ~0.01 +fits", run.stdout, flags=re.MULTILINE)
    assert "processor" not in run.stdout and "RAM" not in run.stdout
    assert "all downloads: 0.091 GB\n" in run.stdout  # how much is free is not known there
    assert "hub token" not in run.stdout
    assert "These three are assumptions: no GPU was measured." in run.stdout


def test_a_card_that_is_here_gets_hours_and_the_processor_beside_it_none(
    planned: Workspace, compete: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    t4 = Device("GPU 0 Tesla T4", "gpu", 15_828_320_256, bfloat16=False)
    unknown = Device("GPU 1 made up", "gpu", 15_828_320_256, bfloat16=True)
    processor = Device("processor", "processor", 32 * 10**9, bfloat16=False)
    monkeypatch.setattr("compete.workflows.plan.find_devices", lambda: [processor, t4, unknown])
    document = compete("plan", "described", "--json").document
    estimates = [device["estimate"] for device in models(document)["described"]["devices"]]
    assert estimates[0] is None and estimates[2] is None
    assert estimates[1]["hours"] > 0 and estimates[1]["gpus"] == 1
    assert document["estimate"] is None  # two cards of which one is not known: nothing is said of both
    assert document["machine"]["absent"] is False
    run = compete("plan", "described")
    assert re.search(r"^  GPU 0 .* ~0.01 +fits", run.stdout, flags=re.MULTILINE)
    assert re.search(r"^  processor .* - +fits", run.stdout, flags=re.MULTILINE)


def test_weights_on_this_machine_are_not_on_another(planned: Workspace, compete: Run) -> None:
    write_miniature("roberta", ["happy sunny furious rotten day"], planned.root / "local", seed=1)
    with planned.declaration.open("a") as file:
        file.write('\n[checkpoints]\n"nobody/small" = "local"\n')
    assert "its weights are on this machine" in compete("plan", "described", "--device", "cpu").stdout
    elsewhere = compete("plan", "described", "--device", "L4").stdout
    assert "its weights are on this machine" not in elsewhere
    assert "downloads" in elsewhere


def test_the_processor_alone_gets_no_hours_without_a_probe(planned: Workspace, compete: Run) -> None:
    for arguments in (("--device", "cpu"), ("--device", "CPU", "--session", "12h")):
        run = compete("plan", "described", *arguments)
        assert run.code == 0, run.stderr
        assert run.stdout.startswith("for the processor of this machine alone\nprocessor: ")
        assert "GPU" not in run.stdout
        assert "~" not in run.stdout
        assert ("no hours are known here" in run.stdout) == ("--session" in arguments)
    document = compete("plan", "described", "--device", "cpu", "--json").document
    assert document["machine"]["absent"] is False
    assert document["estimate"] is None
    assert [each["estimate"] for each in models(document)["described"]["devices"]] == [None]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--device", "B9000"), "error: --device 'B9000': not known; known: cpu, T4, P100, V100-16,"),
        (("--device", "17x T4"), "error: --device '17x T4': from 1 to 16 of a kind"),
        (("--device", "T4", "--probe"), "error: --probe trains on what is here, and --device plans for something else"),
        (("--session", "noon"), "error: --session: 'noon' is no length of time: write it as 11h"),
    ],
)
def test_what_cannot_be_planned_is_a_mistake(compete: Run, arguments: tuple[str, ...], said: str) -> None:
    run = compete("plan", *arguments)
    assert run.code == 2
    assert run.stderr.startswith(said)


def test_a_p100_is_refused_with_the_reason(planned: Workspace, compete: Run) -> None:
    run = compete("plan", "described", "--device", "P100")
    assert run.code == 0, run.stderr
    assert "cannot: PyPI's torch has no kernels for compute capability 6.0" in run.stdout
    assert "~" not in run.stdout


def test_a_fold_longer_than_a_session_is_said(planned: Workspace, compete: Run) -> None:
    (planned.recipes / "described.toml").write_text(LARGE, encoding="utf-8")
    found = models(compete("plan", "described", "--device", "A100-80", "--json").document)["described"]
    fold = found["devices"][0]["estimate"]["fold"]
    assert fold > 0.1, "or the minutes below are too few to cut"
    short, long = f"{int(30 * fold)}m", f"{int(150 * fold)}m"  # half of a fold, and two and a half
    run = compete("plan", "described", "--device", "A100-80", "--session", short)
    assert re.search(r"described: a fold takes ~\S+ hours, longer than a session of \S+: it has to go on", run.stdout)
    assert "; a fold is longer than a session of" in run.stdout
    run = compete("plan", "described", "--device", "A100-80", "--session", long)
    assert "longer than a session" not in run.stdout
    assert re.search(r"hours, 2 sessions of \S+ hours", run.stdout)  # three folds


def test_hours_and_sessions_are_in_the_document_and_in_the_table(planned: Workspace, compete: Run) -> None:
    (planned.recipes / "described.toml").write_text(LARGE, encoding="utf-8")
    document = compete("plan", "--device", "2x A100-80", "--session", "40m", "--json").document
    machine = document["machine"]
    assert (machine["asked"], machine["absent"], machine["session"]) == ("2x A100-80", True, pytest.approx(40 / 60))
    assert [device["name"] for device in machine["devices"]] == ["GPU 0 A100-80", "GPU 1 A100-80"]
    described = models(document)["described"]
    estimate = described["devices"][0]["estimate"]
    assert estimate["gpus"] == 2
    assert estimate["hours"] == pytest.approx(2 * estimate["fold"])  # three folds on two cards: two rounds
    assert 20 / 60 < estimate["fold"] < 40 / 60, "or the session holds another number of folds"
    assert estimate["sessions"] == 2
    assert document["estimate"] == {"hours": estimate["hours"], "sessions": estimate["sessions"]}
    assert described["disk"]["free"] is None and document["downloads"]["free"] is None
    table = compete_package.open(planned.root).plan("described", device="2x A100-80", session="40m").table
    assert table["estimated_hours"].tolist() == [pytest.approx(estimate["hours"])] * 2
    assert table["sessions"].tolist() == [estimate["sessions"]] * 2
