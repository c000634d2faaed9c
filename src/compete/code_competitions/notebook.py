"""The inference notebook of a pack: a few cells that a person can read, which do what `compete predict --pack` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compete import atomic
from compete.code_competitions.manifest import NOTEBOOK, Manifest

_START = """\
import os, time
from pathlib import Path

STARTED = time.monotonic()
PACK = "{id}"
BUDGET = {budget:g}  # seconds from here to a finished submission.csv
INPUTS = Path(os.environ.get("COMPETE_INPUT", "/kaggle/input"))
OUTPUT = Path("submission.csv")"""

_INSTALL = """\
import json, subprocess, sys

texts = [path.read_text(errors="replace") for path in sorted(INPUTS.rglob("manifest.json"))]
mine = [json.loads(text) for text in texts if f'"id": "{PACK}"' in text]  # others may have a file of that name
assert mine, f"the pack {PACK} is not among the inputs: add its datasets to this notebook"
manifest = mine[0]
names = {Path(file["path"]).name for file in manifest["files"] if file["part"] == "wheels"}
wheels = {path.name: path for path in sorted(INPUTS.rglob("*.whl")) if path.name in names}
assert names == set(wheels), f"wheels are missing: {sorted(names - set(wheels))}"
pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--disable-pip-version-check"]
subprocess.run([*pip, *(f"--find-links={path.parent}" for path in wheels.values()), *map(str, wheels.values())],
               check=True)"""

_INSTALLING = "Install what the image lacks from the wheels of the pack: no network is asked."

_PREDICT = """\
from compete.code_competitions.in_a_notebook import predict_here

found = predict_here(PACK, INPUTS, OUTPUT, budget=BUDGET, started=STARTED)"""

_SHOW = """\
print("\\n".join(OUTPUT.read_text(errors="replace").splitlines()[:5]))
for each in found.done:
    print(f"{each.name:30} {each.seconds:8.1f} s  {each.why_not or 'done'}")
print(f"expected {manifest['metric']}: {found.step.honest:.4f} ({found.step.low:.4f} to {found.step.high:.4f})")"""


def write_notebook(folder: Path, manifest: Manifest) -> None:
    """Write submission.ipynb into a pack; the same bytes for the same manifest."""
    import nbformat

    v4: Any = nbformat.v4

    # A cell's id is drawn by chance if none is given.
    cells = [
        v4.new_markdown_cell(_about(manifest), id="about"),
        v4.new_code_cell(_START.format(id=manifest.id, budget=manifest.budget_seconds), id="start"),
        v4.new_markdown_cell(_INSTALLING, id="about-install"),
        v4.new_code_cell(_INSTALL, id="install"),
        v4.new_markdown_cell(_PROCEDURE, id="about-predict"),
        v4.new_code_cell(_PREDICT, id="predict"),
        v4.new_markdown_cell("The first rows, and what was done.", id="about-show"),
        v4.new_code_cell(_SHOW, id="show"),
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook = v4.new_notebook(cells=cells, metadata=kernel)
    nbformat.validate(notebook)
    atomic.write_text(folder / NOTEBOOK, str(v4.writes(notebook)) + "\n")


_PROCEDURE = """\
Predict. Models come in the order above, every one over the rows from the longest to the shortest. One that fails, or
would not end within the budget, is left out; the stack that was fitted beforehand for those that are done makes
`submission.csv`, in the form of the sample submission."""


def _about(manifest: Manifest) -> str:
    whole = manifest.everything
    rows = [
        "| model | folds | gain | seconds per 1,000 rows where it was packed |",
        "|---|---:|---:|---:|",
        *(
            f"| {each.name} | {each.folds} | {'' if each.gain is None else f'{each.gain:+.4f}'} | "
            f"{1000 * each.seconds_per_row:.2f} |"
            for each in manifest.members
        ),
    ]
    left = [
        f"| {', '.join(step.members)} | {step.honest:.4f} | {step.low:.4f} to {step.high:.4f} |"
        for step in manifest.steps[:12]
    ]
    return "\n".join(
        [
            f"# {_plain(manifest.competition)}: {manifest.source}",
            "",
            f"Predicts the test set with the pack `{manifest.name}` ({manifest.id}) of compete {manifest.compete}. "
            f"Expected {manifest.metric}: {whole.honest:.4f} ({whole.low:.4f} to {whole.high:.4f}).",
            "",
            f"Order: {manifest.ordered_by}.",
            "",
            *rows,
            "",
            "What is expected where only these are done:",
            "",
            "| models | honest score | 95 % interval |",
            "|---|---:|---|",
            *left,
        ]
    )


def _plain(text: str) -> str:
    """A name as markdown shows it and never acts on."""
    shown = "".join(sign for sign in text if sign.isprintable())
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>()#+-.!|$&" else sign for sign in shown)
