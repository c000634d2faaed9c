"""A tiny workspace somebody has worked in, with names and texts that try to break out of a page."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from compete.competition.data import Competition, load_competition
from compete.competition.demo_data import write_demo_data
from compete.competition.starter import make_workspace
from compete.competition.workspace import Workspace
from compete.workflows.scores import scores
from compete.workflows.stack import stack
from compete.workflows.submit import submit
from compete.workflows.train import train_base

NAME = 'tiny </title><script>alert(1)</script> & "co" {{ 7*7 }} $x^2$'
# In place of joy, anger and trust.
LABELS = ("_joy $x$", '<img src=x onerror="alert(2)"> id="1', "信頼 🤝")
ODD_STACK = "0_Odd-stack"

PLANTED = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "\"double\" 'single' &amp; &lt;",
    "{{ 7*7 }} {% raw %}",
    "line\u2028separator\u2029paragraph",
    "emoji 🏳️‍🌈👩🏽‍🚀",
    "שלום עולם \u202eright to left",
    "two\nlines",
    "`${alert(1)}`",
    "\\u003cb\\u003e",
    "<svg/onload=alert(1)>",
)

# What acts on whoever shows it, in every place of a workspace that a stranger fills.
STRANGE_NAME = "\x1b]0;mine\x07</title></script><script>alert(3)</script>\u202egnp\u2028\x9b2J"
STRANGE_LABELS = (
    "</script><script>alert(4)</script>",
    "\x1b[2J\u202eyoj\u2066",
    "=cmd|' /C calc'!A0\" onload=alert(5) x='&amp;",
)
_STRANGE_TEXTS = (
    "\x1b[31mred\x1b[0m \x07",
    "</script><script>alert(6)</script><!--",
    "\u2028\u2029\u0085\x9b2J",
    "\u202e\u2067turned round",
    '=HYPERLINK("http://example.invalid","x")',
    "<style>*{display:none}</style><base href=http://example.invalid/>",
    "<img src=http://example.invalid/a.png srcset=http://example.invalid/b.png>",
    "javascript:alert(7) data:text/html,<script>alert(8)</script>",
    "<svg><script>alert(9)</script></svg>",
    "\ufffe\uffff",
)
_STRANGE_IDS = ("=cmd|'/C'!A0 ", "\x1b[8m", "<i>", "\u202e", "</script>", '"', "../", "@")

# Rows whose labels are turned round.
TURNED = frozenset(f"a{10 * number:04d}" for number in range(12))

_CURVE = 'context.curves.append({"epoch": 1, "words": len(self.odds)})'
_LOSSES = (
    'context.curves.extend({"epoch": e, "train_loss": 1 / e, "validation_loss": 1 / e + 0.02 * e, "member": m}'
    " for m in (1, 2) for e in (1, 2, 3))"
)


def lived_in(untouched: Workspace, root: Path) -> Workspace:
    """Trained, stacked twice, also without each of the models, submitted three times, private scores revealed."""
    workspace = copied(untouched, root)
    hostile(workspace)
    for name, text in {"logistic": 'method = "logistic"\nC = 0.05', ODD_STACK: 'method = "mean"'}.items():
        (workspace.stack_recipes / f"{name}.toml").write_text(text + "\n", encoding="utf-8")
    train_models(workspace)
    build_stacks(workspace, leave_one_out=True)
    send(workspace, ["logistic", "words", "words_smooth"])
    reveal(workspace)
    return workspace


def strange(untouched: Workspace, root: Path) -> Workspace:
    """The same with names, labels, ids and texts of somebody who means it."""
    workspace = copied(untouched, root)
    toml = json.dumps(STRANGE_NAME, ensure_ascii=False)
    _edit(workspace.declaration, lambda text: text.replace('name = "tiny"', f"name = {toml}"))
    _edit(workspace.root / "families.py", lambda text: text.replace(_CURVE, _LOSSES))

    def change(number: int, row: dict[str, str]) -> dict[str, str]:
        text = {"text": f"{row['text']} {_STRANGE_TEXTS[number % len(_STRANGE_TEXTS)]}"} if "text" in row else {}
        return {**row, **text, "id": f"{_STRANGE_IDS[number % len(_STRANGE_IDS)]}{row['id']}"}

    renamed = dict(zip(("joy", "anger", "trust"), STRANGE_LABELS, strict=True))
    for name in ("train", "test", "sample", "solution"):
        rewrite(workspace.root / f"{name}.csv", renamed, change)
    (workspace.stack_recipes / "plain.toml").write_text('method = "mean"\n', encoding="utf-8")
    train_models(workspace)
    build_stacks(workspace, leave_one_out=True)
    send(workspace, ["logistic", "words"])
    reveal(workspace)
    return workspace


def embedded(root: Path) -> Workspace:
    """The embedded competition as `make demo` plays it, with two of its models."""
    write_demo_data(root / "data")
    files = {name: root / "data" / f"{name}.csv" for name in ("train", "test", "sample_submission")}
    workspace, _ = make_workspace(root, files["train"], files["test"], files["sample_submission"])
    _edit(workspace.declaration, lambda text: re.sub(r"# solution = \S+", 'solution = "data/solution.csv"', text))
    for name in ("linear", "nbsvm"):  # of characters, there are so many n-grams that they take most of the time
        _edit(
            workspace.recipes / f"{name}.toml", lambda text: re.sub(r"(?m)^char_ngrams = .*$", "char_ngrams = []", text)
        )
    train_models(workspace, ["linear", "nbsvm"])
    build_stacks(workspace, ["mean", "blend"], leave_one_out=True)
    send(workspace, ["blend", "linear", "nbsvm"])
    reveal(workspace)
    return workspace


def copied(workspace: Workspace, root: Path) -> Workspace:
    shutil.copytree(workspace.root, root, dirs_exist_ok=True)
    return Workspace(root.resolve())


def hostile(workspace: Workspace) -> None:
    """Names with markup; the planted texts; some rows with labels turned round; curves with losses."""
    _edit(workspace.declaration, lambda text: text.replace('name = "tiny"', f"name = '{NAME}'"))
    _edit(workspace.root / "families.py", lambda text: text.replace(_CURVE, _LOSSES))

    def plant(number: int, row: dict[str, str]) -> dict[str, str]:
        labels = {label: str(1 - int(row[label])) for label in LABELS} if row["id"] in TURNED else {}
        # Each of them in ten rows: some of these are among the worst.
        text = row["text"] if number % 2 else f"{row['text']} {PLANTED[number // 2 % len(PLANTED)]}"
        return {**row, **labels, "text": text}

    renamed = dict(zip(("joy", "anger", "trust"), LABELS, strict=True))
    for name in ("train", "sample", "solution"):
        rewrite(workspace.root / f"{name}.csv", renamed, plant if name == "train" else lambda number, row: row)


def rewrite(
    path: Path,
    renamed: Mapping[str, str | None],
    change: Callable[[int, dict[str, str]], dict[str, str]] = lambda number, row: row,
) -> None:
    """A CSV with other column names (None: without the column), and every row changed."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows = [{name: v for k, v in row.items() if (name := renamed.get(k, k)) is not None} for row in rows]
    rows = [change(number, row) for number, row in enumerate(rows)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_model(workspace: Workspace, name: str, smoothing: float, family: str = "families.py:Words") -> None:
    recipe = f'family = "{family}"\n[settings]\nsmoothing = {smoothing}\n'
    (workspace.recipes / f"{name}.toml").write_text(recipe, encoding="utf-8")


def write_linear_models(workspace: Workspace) -> None:
    """`linear` and `nbsvm`, which are quick and can be kept."""
    for name, weighting in {"linear": "tfidf", "nbsvm": "nbsvm"}.items():
        recipe = f'family = "linear"\n[settings]\nweighting = "{weighting}"\n'
        (workspace.recipes / f"{name}.toml").write_text(recipe, encoding="utf-8")


def declare(workspace: Workspace, line: str) -> None:
    """Put a line on top of competition.toml."""
    _edit(workspace.declaration, lambda text: f"{line}\n{text}")


def train_models(workspace: Workspace, names: Sequence[str] = (), folds: Sequence[int] = ()) -> Competition:
    train_base(workspace, names, folds=folds, workers=0)
    return load_competition(workspace)


def build_stacks(workspace: Workspace, names: Sequence[str] = (), *, leave_one_out: bool = False) -> None:
    """As `compete stack`."""
    stack(workspace, names, leave_one_out=leave_one_out)


def send(workspace: Workspace, what: Sequence[str]) -> None:
    """Submit to the local leaderboard."""
    for name in what:
        submit(workspace, name, again=True, allow_constant=True)


def reveal(workspace: Workspace) -> None:
    scores(workspace, private=True)


def _edit(path: Path, change: Callable[[str], str]) -> None:
    before = path.read_text(encoding="utf-8")
    after = change(before)
    assert after != before
    path.write_text(after, encoding="utf-8")
