"""What the inference notebook calls: find the pack and the competition's files among the inputs, and predict."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from compete import atomic
from compete.code_competitions.manifest import MANIFEST
from compete.code_competitions.opened_pack import OpenedPack, find_pack, open_pack
from compete.code_competitions.prediction import PackPrediction, predict_pack
from compete.competition.declaration import read_declaration
from compete.errors import PackError
from compete.execution.local import usable_cores
from compete.printable import printable


def predict_here(
    pack_id: str,
    inputs: Path,
    output: Path,
    *,
    budget: float | None = None,
    started: float | None = None,
) -> PackPrediction:
    """Predict the test set that lies below `inputs`, wherever, with the pack of that id, and print what is done.

    budget: seconds from `started` (time.monotonic) on. Raises PackError where pack or test set are not there.
    """
    with atomic.scratch_folder() as root:
        folder = find_pack([inputs], pack_id)
        pack = open_pack(folder, root, [inputs])
        data = read_declaration(pack.workspace).data
        tests = [_find(pack, inputs, name, needed=True) for name in data.test]
        sample = None if data.sample_submission is None else _find(pack, inputs, data.sample_submission, needed=False)
        return predict_pack(
            pack,
            [path for path in tests if path is not None],
            output,
            sample=sample,
            budget=budget,
            started=started,
            threads=usable_cores(),
            say=_print,
        )


def _print(sentence: str) -> None:
    print(printable(sentence), flush=True)
    sys.stdout.flush()


def _find(pack: OpenedPack, inputs: Path, name: str, *, needed: bool) -> Path | None:
    """The competition's file of that name: of several, the one in the competition's own folder."""
    manifest = pack.manifest
    mine = {path.resolve().parent for path in pack.found.values()}
    found = [path for path in sorted(inputs.rglob(name)) if path.is_file() and path.resolve().parent not in mine]
    slug = manifest.kaggle
    own = [path for path in found if slug is not None and slug in path.parts] or found
    if len(own) == 1 or (own and slug is not None and own is not found):
        return own[0]
    if not own and not needed:
        return None
    raise PackError(_unclear(name, inputs, own, slug))


def _unclear(name: str, inputs: Path, found: Sequence[Path], slug: str | None) -> str:
    if not found:
        return f"{name} is not among the inputs in {inputs}: add the competition's data to this notebook"
    places = ", ".join(str(path) for path in found[:3])
    hint = "" if slug else f"; name the competition as [submission] kaggle before `compete pack`, as {MANIFEST} has it"
    return f"{name} is there more than once ({places}){hint}"
