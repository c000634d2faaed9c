"""The inference notebook: readable, and run as Kaggle runs it."""

from __future__ import annotations

import ast

import nbformat
import pytest

from compete.code_competitions.manifest import read_manifest
from compete.code_competitions.no_network import NetworkForbiddenError
from compete.competition.workspace import Workspace
from compete.workflows.pack import rehearse_notebook
from support.in_process import in_process


def test_its_cells_are_few_and_valid_and_say_what_to_expect(packed_once: Workspace) -> None:
    folder = packed_once.pack("logistic")
    manifest = read_manifest(folder)
    notebook = nbformat.read(folder / "submission.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    told = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert len(notebook.cells) <= 10
    for source in code:
        ast.parse(source)
    assert f"{manifest.everything.honest:.4f}" in told
    assert all(member.name in told for member in manifest.members)
    assert "http" not in told + "".join(code)


def test_a_process_behind_the_wall_reaches_nobody() -> None:
    import subprocess
    import sys

    from compete.code_competitions.offline_run import environment

    script = """
from compete.code_competitions.no_network import NetworkForbiddenError, forbid_network
import socket, urllib.request
forbid_network()
for call in (lambda: socket.create_connection(("127.0.0.1", 9)), lambda: socket.socket().connect(("127.0.0.1", 9)),
             lambda: urllib.request.urlopen("http://localhost:9")):
    try:
        call()
    except OSError as error:
        assert "there is no network here" in str(error), error
    else:
        raise AssertionError
"""
    ran = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert issubclass(NetworkForbiddenError, OSError)


@pytest.mark.slow
def test_it_predicts_the_rows_that_can_be_seen_and_others(
    packed: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAGGLE_KEY", "secret-of-ann")
    run = in_process(packed.root, monkeypatch, capsys)
    ran = run("rehearse", "--notebook", "--rows", "50", "--json")
    assert ran.code == 0, ran.stderr
    assert [(each["test"], each["rows"], each["valid"]) for each in ran.document["runs"]] == [
        ("visible rows", 90, True),
        ("hidden rows", 50, True),
    ]
    assert ran.document["runs"][1]["peak_bytes"] > 10**7
    assert "secret-of-ann" not in ran.stdout + ran.stderr


@pytest.mark.slow
def test_a_notebook_that_takes_too_much_memory_or_breaks_fails(packed: Workspace) -> None:
    found = rehearse_notebook(packed, memory_gib=0.02)
    assert found.failed is not None
    assert "took more than 0.02 GiB of memory" in str(found.failed)
    assert len(found.played) == 1, "what fails on visible rows is not tried on others"


@pytest.mark.slow
def test_where_there_is_no_time_at_all_the_notebook_says_so(packed: Workspace) -> None:
    found = rehearse_notebook(packed, rows=40, budget="1s")
    # So short that no model begins: the notebook says so, and nothing is taken for a submission.
    assert found.failed is not None
    assert "no model was done" in str(found.failed)
