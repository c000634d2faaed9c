"""Manifests, and other files in oof/, that a workspace brings along."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from compete.competition.workspace import Workspace
from support.bombs import promising_rows
from support.hostile import (
    MANIFEST,
    PART,
    STACK_MANIFEST,
    Case,
    cases,
    pipe,
    record,
    writes,
)

pytestmark = pytest.mark.slow

DEEP = "[" * 100_000
RECORDS: dict[str, dict[str, Any]] = {
    "no files": {"files": ...},
    "files that are a list": {"files": ["oof.parquet"]},
    "files without hashes": {"files": {"oof.parquet": None, "test.parquet": 3}},
    "files that lack one": {"files": {}},
    "no identity": {"identity": ...},
    "an identity of numbers": {"identity": {"seed": 42}},
    "an identity that is a text": {"identity": "seed"},
    "seconds of words": {"seconds": "many"},
    "negative seconds": {"seconds": -1.0},
    "a kind that is a list": {"kind": ["trained"]},
    "warnings that are numbers": {"warnings": [1, 2]},
    "warnings without text": {"warnings": [{"label": "joy"}]},
    "made by nobody": {"made_by": 7},
    "a checkpoint that is a text": {"checkpoint": "gpt"},
}
STACK_RECORDS: dict[str, dict[str, Any]] = {
    "no score": {"score": ...},
    "a score of words": {"score": {"honest": "much"}},
    "no members": {"models": ...},
    "members that are no list": {"models": "words"},
    "a decision of nothing": {
        "score": {
            "metric": "f1_macro",
            "honest": 1,
            "low": 0,
            "high": 1,
            "naive": 1,
            "repeats": [],
            "decision": {},
            "labels": {},
            "targets": {},
        }
    },
    "draws that are a text": {"draws": "many"},
    "rates of words": {"test rates": "x"},
}


def manifests() -> Iterator[Case]:
    for what, changes in RECORDS.items():
        yield Case(f"manifest with {what}", ("status",), ("is damaged",), record(MANIFEST, **changes), 0)
        yield Case(
            f"stack over a manifest with {what}", ("stack",), ("manifest.json is damaged",), record(MANIFEST, **changes)
        )
    for what, changes in STACK_RECORDS.items():
        yield Case(f"stack's manifest with {what}", ("stack", "--json"), (), record(STACK_MANIFEST, **changes), 0)
    for what in ("no score", "a score of words", "no members", "members that are no list", "a decision of nothing"):
        yield Case(
            f"submitted from a manifest with {what}",
            ("submit", "logistic"),
            ("logistic",),
            record(STACK_MANIFEST, **STACK_RECORDS[what]),
        )
    for file in (MANIFEST, PART, STACK_MANIFEST, "oof/stacks/choice.json", "oof/sources.json", "oof/words/scores.json"):
        code = 0 if file.endswith(("choice.json", "sources.json", "scores.json", PART)) else 2
        command = ("submit", "logistic", "--again")
        yield Case(f"{file}: nested deeply", command, (), writes(file, DEEP), code)
        yield Case(f"{file}: a pipe", command, (), pipe(file), code)
        yield Case(f"{file}: not UTF-8", command, (), writes(file, b"\xff\xfe\x00{"), code)
    yield Case("fold plan: a pipe", ("folds",), ("is damaged",), pipe("oof/folds.parquet"))
    yield Case("fold plan: text", ("folds",), ("is damaged",), writes("oof/folds.parquet", "PAR1"))
    yield Case("fold plan: of a billion folds", ("status",), ("is damaged",), endless_folds)
    yield Case("probabilities of 50 million rows", ("stack",), ("oof.parquet",), endless_probabilities)


def endless_folds(workspace: Workspace) -> None:
    table = pq.read_table(workspace.fold_plan)
    about = json.loads(table.schema.metadata[b"compete"])
    changed = {**table.schema.metadata, b"compete": json.dumps({**about, "k": 10**9}).encode()}
    pq.write_table(table.replace_schema_metadata(changed), workspace.fold_plan)


def endless_probabilities(workspace: Workspace) -> None:
    promising_rows(workspace.base_model("words").oof, 50_000_000, ["id", "joy", "anger", "trust"])
    files = {name: atomic_hash(workspace.base_model("words").path / name) for name in ("oof.parquet", "test.parquet")}
    record(MANIFEST, files=files)(workspace)


def atomic_hash(path: Path) -> str:
    from compete.atomic import sha256_file

    return sha256_file(path)


@cases(manifests, least=50)
def test_it_is_refused_by_name_or_does_no_harm(play: Callable[[Case], None], case: Case) -> None:
    play(case)
