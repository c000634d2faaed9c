"""`compete plan` as a user types it: offline, without data, and with a probe of a checkpoint on the disk."""

from __future__ import annotations

import re

import pytest

from compete.base_models.miniatures.writing import write_miniature
from compete.competition.workspace import Workspace
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
