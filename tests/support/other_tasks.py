"""The tiny competition with another task: its rows get a title, a body and whatever columns a test asks for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from compete.competition.workspace import Workspace

TEMPLATE = 'text = "{title}: {body}"'


def of_another_task(
    workspace: Workspace, top: str, data: str, columns: str, cells: Iterable[str], folds: str = "", sample: str = ""
) -> None:
    """top, data, folds: lines of TOML; columns, cells: what stands behind id, title and body in every training row."""
    root = workspace.root
    _write(root, "train", f"id,title,body,{columns}", (f"a{n:04d},title {n},body {n},{c}" for n, c in enumerate(cells)))
    _write(root, "test", "id,title,body,asked", (f"b{n:04d},other {n},words {n},x" for n in range(4)))
    (root / "mine.py").write_text("def score(true, predicted):\n    return 0.5\n", encoding="utf-8")
    files = 'train = "train.csv"\ntest = "test.csv"\nid = "id"'
    if sample:
        (root / "sample.csv").write_text(sample, encoding="utf-8")
        files += '\nsample_submission = "sample.csv"'
    workspace.declaration.write_text(
        f'name = "tiny"\n{top}\n[data]\n{files}\n{data}\n[folds]\nk = 3\n{folds}\n', encoding="utf-8"
    )


def _write(root: Path, name: str, header: str, rows: Iterable[str]) -> None:
    (root / f"{name}.csv").write_text("".join(f"{row}\n" for row in (header, *rows)), encoding="utf-8")
