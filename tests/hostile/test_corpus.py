"""Hostile input, a case each: refused by name, or dealt with as if nothing were special about it.

Every case is a command in a copy of one workspace, trained, stacked and submitted from. Whatever it meets: no
traceback, nothing that acts on the terminal, nothing written or removed beside the workspace, an answer within seconds.
"""

from __future__ import annotations

import gzip
import io
import json
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compete.competition.workspace import Workspace
from compete.execution.inline import InlineExecutor
from compete.printable import printable
from compete.workflows.jobs import export_jobs, run_job
from support.hostile import (
    ESCAPE,
    Arrange,
    Case,
    Content,
    all_of,
    edits,
    ledger,
    link,
    pipe,
    put,
    record,
    repacked,
    snapshot,
    within,
    writes,
)
from support.in_process import in_process
from support.lived_in import copied, send

pytestmark = pytest.mark.slow

LONGEST = 20
"""Seconds, on a busy machine of two cores; most take hundredths."""
MOST_MEMORY = 2**30
"""Bytes beyond what the tests themselves have mapped."""
DECLARATION, STACK, RECIPE = "competition.toml", "stacking/logistic.toml", "base_models/words.toml"
MANIFEST, STACK_MANIFEST, PART = (
    "oof/words/manifest.json",
    "oof/stacks/logistic/manifest.json",
    "oof/words/fold_0/part.json",
)
IMPORT = (
    "import",
    "mate",
    "--oof",
    "mate.npy",
    "--test",
    "mate.npy",
    "--oof-ids",
    "test.csv",
    "--test-ids",
    "test.csv",
)
TRAIN = ("train-base", "words", "--workers", "0")
LOOK = (("status",), ("stack",), ("submit", "words"), ("finalists",))


# Names: typed, and in files.

NAMES = {
    "a way out": "../../elsewhere/mean",
    "an absolute path": "/etc/passwd",
    "a folder": "sub/mean",
    "the folder above": "..",
    "a hidden file": ".hidden",
    "an escape sequence": f"mean{ESCAPE}",
    "a line turned round": "mean\u202egnp",
    "thousands of letters": "m" * 5000,
    "letters of another script": "среднее",
    "a way out of another system": "..\\..\\mean",
}
TAKE_A_NAME = {
    "stack": ("stack", "NAME"),
    "stack without": ("stack", "--without", "NAME"),
    "stack allow": ("stack", "--allow", "NAME"),
    "train-base": ("train-base", "NAME", "--workers", "0"),
    "import": ("import", "NAME", "--oof", "oof/words/oof.parquet", "--test", "oof/words/test.parquet"),
    "submit": ("submit", "NAME"),
    "predict": ("predict", "test.csv", "NAME"),
    "plan": ("plan", "NAME"),
    "rehearse": ("rehearse", "NAME", "--workers", "0"),
    "rehearse stack": ("rehearse", "--stack", "NAME", "--workers", "0"),
    "jobs export": ("jobs", "export", "out", "NAME"),
}


def typed() -> Iterator[Case]:
    for (what, name), (title, words) in product(NAMES.items(), TAKE_A_NAME.items()):
        yield Case(f"{title}: {what}", tuple(name if word == "NAME" else word for word in words), ("error: ",))
    yield Case("import: the folder of the stacks", ("import", "stacks", *TAKE_A_NAME["import"][2:]), ("not 'stacks'",))


def stacks(text: str) -> Arrange:
    return writes(STACK, text)


def names_in_files() -> Iterator[Case]:
    for what, name in NAMES.items():
        quoted = json.dumps(name)
        yield Case(
            f"models of a stack: {what}",
            ("stack",),
            ("base model",),
            stacks(f'method = "mean"\nmodels = ["words", {quoted}]'),
        )
        yield Case(
            f"stacks of a stack: {what}",
            ("stack",),
            ("cannot be a stack's name",),
            stacks(f'method = "mean"\nstacks = ["other", {quoted}]'),
        )
        yield Case(
            f"models of --all: {what}",
            ("train-base", "--all"),
            ("error: ",),
            edits(DECLARATION, "[folds]", f"[training]\nmodels = [{quoted}]\n[folds]"),
        )
        yield Case(
            f"choice.json: {what}",
            ("submit", "--again"),
            (),
            writes("oof/stacks/choice.json", json.dumps({"stack": name})),
            0,
        )
        yield Case(
            f"members in a manifest: {what}",
            ("submit", "logistic"),
            ("is damaged",),
            record(STACK_MANIFEST, models=["words", name]),
        )
        yield Case(
            f"files in a manifest: {what}",
            ("stack",),
            (),
            record(MANIFEST, files={"oof.parquet": "0", "test.parquet": "0", name: "0"}),
        )
    for what in ("a way out", "an absolute path", "a folder", "an escape sequence", "a way out of another system"):
        changed = ledger(f"UPDATE submissions SET file = {quote(NAMES[what])}")
        yield Case(
            f"file in the ledger: {what}",
            ("scores", "--private"),
            ("cannot be the name of a file in submissions/",),
            changed,
        )
        lost = ledger(
            f"UPDATE submissions SET file = {quote(NAMES[what])}",
            "INSERT INTO outcomes (number, recorded, status) SELECT number, created, 'lost' FROM submissions",
        )
        yield Case(f"file of a lost submission: {what}", ("submit", "words"), ("cannot be the name of a file",), lost)


def quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def stray_files() -> Iterator[Case]:
    for what, name in {
        "blanks": "my mean",
        "an escape sequence": f"m{ESCAPE.replace('/', '')}",
        "a formula": "=cmd",
    }.items():
        yield Case(
            f"recipe file with {what}",
            ("status",),
            ("cannot be a model's name",),
            writes(f"base_models/{name}.toml", 'family = "linear"'),
        )
        yield Case(
            f"stack file with {what}",
            ("stack",),
            ("cannot be a stack's name",),
            writes(f"stacking/{name}.toml", 'method = "mean"'),
        )
        yield Case(
            f"folder in oof with {what}",
            ("status",),
            ("cannot be a model's",),
            writes(f"oof/{name}/oof.parquet", "x"),
            0,
        )
    yield Case("an editor's file in stacking", ("stack",), (), link("stacking/.#mean.toml", "nobody@nowhere"), 0)


# Manifests, ledgers and other files that a workspace brings along.

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


def promising_rows(path: Path, rows: int, columns: list[str]) -> None:
    """A parquet file of kilobytes that is gigabytes: nothing, again and again."""
    pq.write_table(pa.table({name: pa.nulls(rows) for name in columns}), path, row_group_size=rows)


def declarations() -> Iterator[Case]:
    nested = "x = " + "[" * 5000
    for file, command in ((DECLARATION, ("status",)), (RECIPE, ("status",)), (STACK, ("stack",))):
        yield Case(f"{file}: nested deeply", command, ("nested too deeply",), writes(file, nested))
        yield Case(
            f"{file}: a number of 10,000 digits", command, ("is not valid TOML",), writes(file, "k = " + "9" * 10_000)
        )
        yield Case(f"{file}: megabytes", command, ("bytes, at most",), writes(file, b"#" * (5 * 2**20)))
        yield Case(f"{file}: not UTF-8", command, ("is not valid TOML",), writes(file, b"\xff\xfe"))
        yield Case(
            f"{file}: an escape sequence", command, ("\\x1b",), writes(file, f"{json.dumps('key' + ESCAPE)} = 1")
        )
    yield Case("recipe: a pipe is none", TRAIN, ("no recipe",), pipe(RECIPE))
    yield Case(
        "a family outside", TRAIN, ("lies outside the workspace",), edits(RECIPE, "families.py:", "../families.py:")
    )
    yield Case(
        "a family at an absolute path",
        TRAIN,
        ("lies outside the workspace",),
        edits(RECIPE, "families.py:", "/tmp/x.py:"),
    )
    yield Case("a family with NUL", TRAIN, ("families",), edits(RECIPE, "families.py:", "families\\u0000.py:"))
    yield Case(
        "a family outside, rehearsed",
        ("rehearse", "--workers", "0"),
        ("lies outside",),
        edits(RECIPE, "families.py:", "../../../x.py:"),
    )
    yield Case("a metric outside", ("status",), ("lies outside the workspace",), own_metric("../mine.py:score"))
    yield Case("a metric that is no name", ("status",), ("metric",), own_metric("mine.py:[/red]"))
    yield Case(
        "a solution that is a device",
        ("submit", "words"),
        ("is no file",),
        edits(DECLARATION, '"solution.csv"', '"/dev/zero"'),
    )
    yield Case("train that is a device", ("folds",), ("is no file",), edits(DECLARATION, '"train.csv"', '"/dev/zero"'))
    yield Case("train that is a folder", ("folds",), ("is no file",), edits(DECLARATION, '"train.csv"', '"oof"'))
    yield Case(
        "train with NUL in its name", ("folds",), ("does not exist",), edits(DECLARATION, '"train.csv"', '"a\\u0000b"')
    )
    yield Case(
        "an encoding with NUL",
        ("folds",),
        ("data.encoding",),
        edits(DECLARATION, "[folds]", 'encoding = "a\\u0000b"\n[folds]'),
    )
    yield Case(
        "an encoding that is none of text",
        ("folds",),
        ("data.encoding",),
        edits(DECLARATION, "[folds]", 'encoding = "zlib_codec"\n[folds]'),
    )


def own_metric(name: str) -> Arrange:
    keys = f'metric = "{name}"\nmetric_wants = "probabilities"\nmetric_greater_is_better = true\n'
    return edits(DECLARATION, 'name = "tiny"\n', f'name = "tiny"\n{keys}')


def ledgers() -> Iterator[Case]:
    look = ("scores",)
    kept = ("is", "cannot be used as a ledger")
    yield Case("ledger: a pipe", look, kept, pipe("submissions/ledger.sqlite"))
    yield Case("ledger: text", look, kept, writes("submissions/ledger.sqlite", "number,created\n" * 100))
    for what, statement in {
        "a status of nobody's": "PRAGMA ignore_check_constraints = ON",
        "a time that is none": "UPDATE submissions SET created = 'yesterday'",
        "an endless score": "UPDATE submissions SET validation = 9e999",
    }.items():
        changed = (statement, "UPDATE outcomes SET status = 'won'") if statement.startswith("PRAGMA") else (statement,)
        yield Case(f"ledger with {what}", look, kept[1:], ledger(*changed))
    yield Case("ledger with a view", look, ("view", *kept[1:]), ledger("CREATE VIEW spy AS SELECT * FROM submissions"))
    trigger = "CREATE TRIGGER spy AFTER INSERT ON outcomes BEGIN DELETE FROM submissions; END"
    yield Case("ledger with a trigger", look, ("trigger", *kept[1:]), ledger(trigger))
    loose = (
        "ALTER TABLE submissions RENAME TO old",
        "CREATE TABLE submissions AS SELECT * FROM old",
        "UPDATE submissions SET source = x'00ff'",
    )
    yield Case("ledger with other types", look, kept[1:], ledger(*loose))
    yield Case("ledger with escape sequences", look, (), ledger(f"UPDATE submissions SET source = {quote(ESCAPE)}"), 0)
    yield Case("ledger with markup", look, (), ledger("UPDATE submissions SET source = '[/red] [bold'"), 0)
    yield Case("scores from a pipe", ("scores", "--from", "pipe.csv"), ("is no file",), pipe("pipe.csv"))
    yield Case("scores from a device", ("scores", "--from", "/dev/zero"), ("is no file",))
    text = f"source,metric,validation,public\n{ESCAPE},f1_macro,0.5,0.4\n"
    yield Case("scores from escape sequences", ("scores", "--from", "mine.csv"), (), writes("mine.csv", text), 0)
    metric = f"source,metric,validation,public\nx,{ESCAPE},0.5,0.4\n"
    yield Case(
        "scores of a metric of escape sequences",
        ("scores", "--from", "mine.csv"),
        ("no metric",),
        writes("mine.csv", metric),
    )


# Data files.


def squeezed(content: bytes, times: int = 1) -> bytes:
    for _ in range(times):
        content = gzip.compress(content, 1)
    return content


def gzip_bomb() -> bytes:
    """300 MiB in 300 KiB: members of a gzip file follow one another."""
    return gzip.compress(b"1,x,1\n" * 2**20, 9) * 50


def zip_bomb() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("train.csv", "w") as file:
        for _ in range(200):
            file.write(b"1,x,1\n" * 2**18)
    return packed.getvalue()


def tar_with(kind: bytes, name: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    return packed.getvalue()


def parquet(table: pa.Table) -> bytes:
    written = io.BytesIO()
    pq.write_table(table, written)
    return written.getvalue()


def train_is(file: str, content: Content) -> Arrange:
    return all_of(edits(DECLARATION, '"train.csv"', f'"{file}"'), writes(file, content))


WIDE = ",".join(f"c{number}" for number in range(100_000))
DATA: dict[str, tuple[str, Content, str]] = {
    "a line of 40 MiB": (
        "a.csv",
        lambda: b"id,text,joy\n1," + b"x" * (40 * 2**20) + b",1\n",
        "has a line of more than",
    ),
    "a first line of 40 MiB": ("a.csv", lambda: b"i" * (40 * 2**20), "has a line of more than"),
    "a line of 40 MiB, packed": (
        "a.csv.gz",
        lambda: gzip.compress(b"id,text\n1," + b"x" * (40 * 2**20), 1),
        "has a line of more than",
    ),
    "100,000 columns": ("a.csv", WIDE.encode() + b"\n", "has 100,000 columns"),
    "100,000 keys": ("a.jsonl", json.dumps({f"k{n}": 1 for n in range(100_000)}).encode(), "has 100,000 columns"),
    "100,000 columns of parquet": (
        "a.parquet",
        parquet(pa.table({f"c{n}": pa.array([], pa.int8()) for n in range(10_001)})),
        "has 10,001 columns",
    ),
    "JSON that is nested deeply": ("a.jsonl", b'{"id": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", "line 1 is not JSON"),
    "a gzip bomb": ("a.csv.gz", gzip_bomb, "that is a bomb"),
    "a zip bomb": ("a.zip", zip_bomb, "that is a bomb"),
    "packed ten times": ("a.csv.gz", squeezed(b"id,text\n", 10), "is packed more than"),
    "a tar of a link": ("a.tar", tar_with(tarfile.SYMTYPE, "train.csv"), "holds no file"),
    "a tar of a device": ("a.tar", tar_with(tarfile.CHRTYPE, "train.csv"), "holds no file"),
    "a tar of a pipe": ("a.tar", tar_with(tarfile.FIFOTYPE, "train.csv"), "holds no file"),
    "bytes that are no parquet": ("a.parquet", b"PAR1" + bytes(100) + b"PAR1", "is damaged"),
    "NULs": ("a.csv", bytes(5000), "UTF-16"),
    "a column of escape sequences": ("a.csv", f"id,text,joy{ESCAPE}\n1,x,9\n".encode(), "\\x1b"),
    "a column that is there twice": ("a.csv", b"id,text,joy,joy\n1,x,1,1\n", "twice"),
    "nothing": ("a.csv", b"", "is empty"),
}


def data() -> Iterator[Case]:
    for what, (file, content, said) in DATA.items():
        yield Case(f"data: {what}", ("folds",), (said,), train_is(file, content))
        # A column's name that nobody guesses to be a label is none of init's business.
        told, code = ((), 0) if what == "a column of escape sequences" else ((said,), 2)
        command = ("init", "new", "--train", file, "--test", "test.csv")
        yield Case(f"init: {what}", command, told, writes(file, content), code)
    yield Case("data: a pipe", ("folds",), ("is no file",), pipe("train.csv"))
    yield Case("init: a pipe", ("init", "new", "--train", "pipe", "--test", "test.csv"), ("is no file",), pipe("pipe"))
    yield Case("new texts: a pipe", ("predict", "pipe.csv", "words"), ("is no file",), pipe("pipe.csv"))
    yield Case("new texts: a device", ("predict", "/dev/zero", "words"), ("is no file",))
    yield Case("a parquet file of 60 million rows", ("folds",), ("rows, at most",), promised)


def promised(workspace: Workspace) -> None:
    promising_rows(workspace.root / "a.parquet", 60_000_000, ["id"])
    edits(DECLARATION, '"train.csv"', '"a.parquet"')(workspace)


# Imports.


def npy(shape: str, kind: str = "<f8", content: bytes = b"") -> bytes:
    """A header that promises what it likes."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


def objects() -> bytes:
    written = io.BytesIO()
    np.save(written, np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    return written.getvalue()


NPY = {
    "objects": (objects(), "which are never loaded"),
    "terabytes promised": (npy("(90, 500000000000)"), "its header promises"),
    "a shape that overflows": (npy("(9223372036854775807, 9223372036854775807)"), "its header promises"),
    "a negative shape": (npy("(-90, 3)"), "its header promises"),
    "a shape of words": (npy("'many'"), "is not an .npy file"),
    "a header of code": (npy("__import__('os').system('touch x')"), "is not an .npy file"),
    "a header without end": (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{", "is not an .npy file"),
    "another version": (b"\x93NUMPY\x09\x00\x10\x00{", "is not an .npy file"),
    "dates": (npy("(2, 3)", "<M8[s]", bytes(48)), "of real numbers"),
    "complex numbers": (npy("(1, 3)", "<c16", bytes(48)), "of real numbers"),
    "more than promised": (npy("(1, 3)", "<f8", bytes(4800)), "its header promises"),
    "a zip file": (b"PK\x03\x04" + bytes(100), "is not an .npy file"),
    "nothing": (b"", "is not an .npy file"),
}
NESTED = pa.table({"id": ["b0000"], "joy": [[0.5]], "anger": [{"p": 0.5}], "trust": [0.5]})
TABLES: dict[str, tuple[str, Content, str]] = {
    "parquet of lists and objects": ("mate.parquet", parquet(NESTED), "hold lists or objects"),
    "parquet of bytes": (
        "mate.parquet",
        parquet(pa.table({"id": ["b0000"], "joy": [b"\x80\x04K\x07."]})),
        "hold lists or objects",
    ),
    "100,000 columns": ("mate.csv", WIDE.encode() + b"\n", "has 100,000 columns"),
    "5,000 columns": ("mate.csv", ",".join(f"c{n}" for n in range(5000)).encode() + b"\n", "more; it needs id"),
    "a line of 40 MiB": ("mate.csv", lambda: b"id,joy\n" + b"1" * (40 * 2**20), "has a line of more than"),
    "a gzip bomb": ("mate.csv.gz", gzip_bomb, "that is a bomb"),
    "escape sequences": ("mate.csv", f"id,{ESCAPE}\n1,2\n".encode(), "\\x1b"),
    "ids of escape sequences": ("mate.csv", f"id,joy,anger,trust\n{ESCAPE},0.1,0.1,0.1\n".encode(), "unknown"),
    "numbers of a thousand digits": (
        "mate.csv",
        b"id,joy,anger,trust\nb0000," + b"9" * 1000 + b",0.1,0.1\n",
        "mate.csv",
    ),
}


def imports() -> Iterator[Case]:
    for what, (header, said) in NPY.items():
        yield Case(f"import of npy: {what}", IMPORT, (said,), writes("mate.npy", header))
    for what, (file, content, said) in TABLES.items():
        yield Case(f"import: {what}", ("import", "mate", "--oof", file, "--test", file), (said,), writes(file, content))
    for file in ("mate.csv", "mate.npy", "mate.parquet"):
        yield Case(
            f"import of a pipe: {file}", ("import", "mate", "--oof", file, "--test", file), ("is no file",), pipe(file)
        )
    yield Case("import of a device", ("import", "mate", "--oof", "/dev/zero", "--test", "/dev/zero"), ("is no file",))
    yield Case("import of a folder", ("import", "mate", "--oof", "oof", "--test", "oof"), ("is no file",))
    yield Case(
        "import of secrets", ("import", "mate", "--oof", "/etc/passwd", "--test", "/etc/passwd"), ("/etc/passwd",)
    )


# Archives of jobs and of their results; `job` and `result` lie in there/, beside the workspace's own files.

JOB, RESULT = "there/words-fold-0.job", "there/words-fold-0.result"
RUN, COLLECT = ("jobs", "run", JOB), ("jobs", "collect", "there")


def on(path: str, **how: object) -> Arrange:
    return lambda workspace: repacked(workspace.root / path, **how)  # type: ignore[arg-type]


ODD_MANIFESTS: dict[str, tuple[dict[str, object], str]] = {
    **{f"the model {what}": ({"model": name}, "cannot be a model's name") for what, name in NAMES.items()},
    "no model": ({"model": ...}, "has no model"),
    "a fold that is none": ({"fold": 10**12}, "there is no fold"),
    "a negative fold": ({"fold": -1}, "there is no fold"),
    "an identity of lists": ({"identity": {"seed": [1]}}, "what it was made of"),
    "an identity that is deep": ({"identity": json.loads("[" * 200 + "]" * 200)}, "nested too deeply"),
    "made with nothing": ({"made_with": 3}, "has no made_with"),
    "another kind": ({"kind": ESCAPE}, "expected a"),
    "a kind that is a list": ({"kind": [[]]}, "expected a"),
    "another format": ({"format": ESCAPE}, "has format"),
    "files without hashes": ({"files": {"competition.toml": 7}}, "has no hashes"),
}
JOB_MANIFESTS: dict[str, tuple[dict[str, object], str]] = {
    "made by another version": ({"made_with": {"compete": ESCAPE}}, "was made by compete"),
    "made by nobody": ({"made_with": {}}, "nobody knows which"),
    "a billion threads": ({"threads": 10**9}, "threads"),
    "no threads": ({"threads": 0}, "threads"),
    "a checkpoint elsewhere": ({"checkpoint": {"name": "a/b", "folder": "../../models"}}, "outside of this folder"),
    "a checkpoint at the root": ({"checkpoint": {"name": "a/b", "folder": "/etc"}}, "outside of this folder"),
    "a checkpoint that is a text": ({"checkpoint": "a/b"}, "does not say where"),
}
MEMBERS = {
    "a way out": "../evil",
    "the root": "/tmp/evil",
    "another system's root": "C:/evil",
    "another system's way out": "..\\evil",
    "a folder and a file": "base_models",
    "no letters": "a\x1b[2Jb",
    "a name of thousands": "n" * 5000,
    "this very folder": "./evil",
}
LINKED = {"a link": stat.S_IFLNK, "a device": stat.S_IFCHR, "a pipe": stat.S_IFIFO, "a socket": stat.S_IFSOCK}


def archives() -> Iterator[Case]:
    for what, (changes, said) in {**ODD_MANIFESTS, **JOB_MANIFESTS}.items():
        yield Case(f"job with {what}", RUN, (said,), on(JOB, manifest=changes))
    for what, (changes, said) in ODD_MANIFESTS.items():
        yield Case(f"result with {what}", COLLECT, (said,), on(RESULT, manifest=changes), 1)
    yield Case("result that failed in no way", COLLECT, ("how it failed",), on(RESULT, manifest={"failed": [1]}), 1)
    failed = {"failed": {"error": "Error", "message": ESCAPE}}
    yield Case(
        "result that failed with escape sequences",
        COLLECT,
        ("\\x1b",),
        all_of(untrained, on(RESULT, manifest=failed)),
        1,
    )
    for what, name in MEMBERS.items():
        yield Case(f"job with a member that is {what}", RUN, ("is not unpacked",), on(JOB, members={name: b"evil"}))
        yield Case(
            f"result with a member that is {what}",
            COLLECT,
            ("is not unpacked",),
            on(RESULT, members={name: b"evil", "base_models/x": b"x"}),
            1,
        )
    for what, kind in LINKED.items():
        changed = on(JOB, members={"families.py": b"/etc/passwd"}, attributes={"families.py": (kind | 0o777) << 16})
        yield Case(f"job with {what}", RUN, ("it is a link or no file",), changed)
    yield Case("job that is a bomb", RUN, ("that is a bomb",), promising_bytes)
    yield Case("job of 10,001 files", RUN, ("at most 10000",), on(JOB, members={f"f{n}": b"" for n in range(10_001)}))
    yield Case("job that is a pipe", RUN, ("is no file",), pipe(JOB))
    yield Case("job that is a device", ("jobs", "run", "/dev/zero"), ("is no file",))
    yield Case("job that is text", RUN, ("is damaged",), writes(JOB, "PK"))
    yield Case("result that is a pipe", COLLECT, ("is no file",), pipe(RESULT), 1)
    for what, toml in {
        "data elsewhere": ('"data/train_0.csv"', '"/etc/passwd"'),
        "data above": ('"data/test_0.csv"', '"../../train.csv"'),
        "a tracker": ("[folds]", '[tracking]\nto = ["wandb"]\n[folds]'),
        "a checkpoint of the machine": ("[folds]", '[checkpoints]\n"a/b" = "/etc"\n[folds]'),
    }.items():
        yield Case(f"job that names {what}", RUN, ("no job of compete does",), in_job(*toml))
    yield Case(
        "lock of a job that is a link",
        RUN,
        ("is a link",),
        link("there/.words-fold-0.lock", "../../elsewhere/secret.txt"),
    )


def promising_bytes(workspace: Workspace) -> None:
    """What the zip file's directory says of a member's size, in place of the truth."""
    path, name = workspace.root / JOB, b"data/train_0.csv"
    packed = bytearray(path.read_bytes())
    place = packed.rindex(b"PK\x01\x02", 0, packed.rindex(name)) + 24
    packed[place : place + 4] = (3 * 10**9).to_bytes(4, "little")
    path.write_bytes(packed)


def untrained(workspace: Workspace) -> None:
    shutil.rmtree(workspace.base_model("words").path)


def in_job(old: str, new: str) -> Arrange:
    def arrange(workspace: Workspace) -> None:
        with zipfile.ZipFile(workspace.root / JOB) as packed:
            text = packed.read(DECLARATION).decode()
        assert old in text, text
        repacked(workspace.root / JOB, members={DECLARATION: text.replace(old, new).encode()})

    return arrange


# Links.

OUT = {
    "oof": ("oof", "../elsewhere"),
    "a model": ("oof/words", "../../elsewhere"),
    "a fold": ("oof/words/fold_0", "../../../elsewhere"),
    "a log": ("oof/words/logs/fold_0.log", "../../../../elsewhere/secret.txt"),
    "the workspace's lock": ("oof/.lock", "../../elsewhere/secret.txt"),
    "submissions": ("submissions", "../elsewhere"),
    "the ledger": ("submissions/ledger.sqlite", "../../elsewhere/secret.txt"),
    "the report": ("report", "../elsewhere"),
    "rehearsals": ("rehearsals", "../elsewhere"),
    "one rehearsal": ("rehearsals/0", "../../elsewhere"),
    "data": ("data", "../elsewhere"),
}


def links() -> Iterator[Case]:
    for what, (name, target) in OUT.items():
        yield Case(f"a link in place of {what}", ("status",), ("leads out of the workspace",), link(name, target))
    yield Case("a link to data elsewhere is read", ("folds",), (), link("train.csv", "../elsewhere/train.csv"), 0)
    yield Case("a link inside is followed", ("status",), (), link("oof/again", "words"), 0)


# Strings that act on whoever shows them.

STRINGS = {
    "escape sequences": f"a{ESCAPE}b",
    "markup of the terminal": "[/red][link=x]",
    "markup of a page": "</script><img src=x onerror=alert(1)>",
    "a line separator": "a\u2028b\u2029c",
    "a line turned round": "a\u202eb\u2066c",
    "C1 controls": "a\x9b2Jb\x85c",
    "quotes": "\"'`",
    "a formula": "=cmd|'/C calc'!A0",
    "an emoji of several": "👩🏽‍🚀",
}


def strings() -> Iterator[Case]:
    for what, text in STRINGS.items():
        named = edits(DECLARATION, 'name = "tiny"', f"name = {json.dumps(text, ensure_ascii=False)}")
        yield Case(f"competition called {what}", ("status", "--json"), (), named, 0)
        yield Case(f"label called {what}", ("folds",), ("is no longer",), label_called(text))
        yield Case(f"texts of {what}", ("predict", "new.csv", "words"), ("kept",), new_text(text, "1"))
        yield Case(f"id of {what}", ("submit", "mine.csv"), ("mine.csv",), new_text("x", text, "mine.csv"))
        yield Case(
            f"message of {what}", ("train-base", "words", "--force", "--workers", "0"), ("error: ",), raising(text), 1
        )


def label_called(text: str) -> Arrange:
    cell = '"' + text.replace('"', '""') + '"'
    return all_of(*(edits(f"{name}.csv", ",joy,", f",{cell},") for name in ("train", "sample", "solution")))


def new_text(text: str, name: str, file: str = "new.csv") -> Arrange:
    cells = ['"' + cell.replace('"', '""') + '"' for cell in (name, text)]
    return writes(file, f"id,text\n{cells[0]},{cells[1]}\n".encode())


def raising(text: str) -> Arrange:
    return edits(
        "families.py", "        time.sleep(self.settings.seconds)\n", f"        raise RuntimeError({text!r})\n"
    )


CASES = [
    case
    for cases in (
        typed,
        names_in_files,
        stray_files,
        manifests,
        declarations,
        ledgers,
        data,
        imports,
        archives,
        links,
        strings,
    )
    for case in cases()
]


@pytest.fixture(scope="module")
def used(stacked_once: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Trained, stacked, submitted from; a job and its result lie in there/."""
    workspace = copied(stacked_once, tmp_path_factory.mktemp("used"))
    send(workspace, ["words", "logistic"])
    put(workspace.stacks / "choice.json", '{"stack": "logistic"}')
    put(workspace.stack_recipes / "other.toml", 'method = "blend"\n')
    export_jobs(workspace, workspace.root / "there", ["words"], folds=[0], force=True, threads=1)
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr("compete.workflows.executors.LocalExecutor", lambda *crew: InlineExecutor())
        run_job(workspace.root / JOB)
    return workspace


@pytest.fixture
def hosted(used: Workspace, tmp_path: Path) -> Workspace:
    """A copy of it, beside what is none of its business."""
    put(tmp_path / "elsewhere" / "mean.toml", 'method = "mean"\n')
    put(tmp_path / "elsewhere" / "secret.txt", "nobody's business")
    put(tmp_path / "elsewhere" / "train.csv", (used.root / "train.csv").read_bytes())
    put(tmp_path / "x.py", "raise SystemExit('this ran')\n")
    put(tmp_path / "families.py", "raise SystemExit('this ran')\n")
    return copied(used, tmp_path / "workspace")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_by_name_or_does_no_harm(
    hosted: Workspace, case: Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case.arrange(hosted)
    parent = hosted.root.parent
    before = snapshot(parent, hosted.root)

    with within(LONGEST, MOST_MEMORY):
        ran = in_process(hosted.root, monkeypatch, capsys)(*case.command)

    assert ran.code == case.code, ran.stderr
    for part in case.said:
        assert part in ran.stderr, ran.stderr
    assert "Traceback" not in ran.stderr
    for shown in (ran.stdout, ran.stderr):
        assert printable(shown) == shown
        assert len(shown) < 200_000
    assert snapshot(parent, hosted.root) == before
    if case.code == 2:
        assert ran.stderr.startswith(("error: ", "warning: ")) or "\nerror: " in ran.stderr


def test_there_are_enough_of_them_and_no_two_are_one() -> None:
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) == len(CASES)
