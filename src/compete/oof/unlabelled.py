"""Texts without labels in a file of the workspace, read as the competition's own are."""

from __future__ import annotations

from compete.competition.data import Competition
from compete.competition.near_identical import near_identical_key
from compete.competition.reading import read_table
from compete.errors import UserError


def unlabelled_texts(competition: Competition, name: str, where: str, or_else: str = "") -> list[str]:
    """Raises UserError, which begins with `where`, for a file that is not there, or that brings labels along.

    or_else: what could have been named in its place, in words.
    """
    path = competition.workspace.root / name
    if not path.is_file():
        raise UserError(f"{where} {name} does not exist; take {or_else}a file of rows without labels")
    data = competition.declaration.data
    table = read_table(path, data.separator, data.quoting, data.encoding)
    labels = [column for column in competition.label_columns if column in table.columns]
    if labels:
        raise UserError(
            f"{where} {name} has labels ({', '.join(labels[:3])}{', ...' * (len(labels) > 3)}), which would not be "
            "learnt. Learn from them with a workspace of their own under [[pretrain_on]], or leave the columns out"
        )
    wanted = competition.declaration.text_columns
    absent = [column for column in wanted.names if column not in table.columns]
    if absent:
        raise UserError(f"{where} {name} has no column {', '.join(absent)}, which the text is made of")
    return wanted.texts({column: table[column].tolist() for column in wanted.names})


def has_test_texts(competition: Competition, texts: list[str]) -> bool:
    """Whether one of the texts is one of the test set, or nearly one."""
    ours = {near_identical_key(text) for text in competition.test_texts}
    return any(near_identical_key(text) in ours for text in texts)
