"""The notebook in the documentation plays from its first cell to its last, on fewer rows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from compete.competition import demo_data
from support.pages import DOCS

pytestmark = pytest.mark.slow

NOTEBOOK = DOCS / "tutorial.ipynb"


def cells() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return found


def test_every_cell_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unpainted: None) -> None:
    monkeypatch.setattr(demo_data, "TRAIN_ROWS", 300)
    monkeypatch.setattr(demo_data, "TEST_ROWS", 120)
    # Jobs run in this process: tests/test_opened.py has Python start processes for them.
    monkeypatch.setattr("compete.workflows.executors.default_workers", lambda recipes, gpus: 0)
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    names: dict[str, Any] = {}
    played = ["".join(cell["source"]) for cell in cells() if cell["cell_type"] == "code"]
    for number, source in enumerate(played):
        # Of so few rows another stack may be the one that is chosen, and be sent twice.
        exec(compile(source.replace("ws.submit()", 'ws.submit("mean")'), "cell", "exec"), names)
        if number == 0:  # trees take their time; the page is about what comes of a stack
            for slow in ("lightgbm", "second_level"):
                names["ws"].workspace.stack_recipe(slow).unlink()
    assert names["final"].table["private"].notna().all()
    assert (tmp_path / "emotions" / "report" / "index.html").is_file()


def test_what_the_cells_gave_is_kept_and_names_no_place_on_a_machine() -> None:
    outputs = [cell["outputs"] for cell in cells() if cell["cell_type"] == "code"]
    assert sum(bool(of_cell) for of_cell in outputs) > 10
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert not re.search(r"/home/|/root/|/tmp/|/Users/|[A-Z]:\\\\", text)
    assert "Traceback" not in text
