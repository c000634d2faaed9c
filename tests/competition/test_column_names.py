from __future__ import annotations

import pytest

from compete.competition.column_names import free_name, matched, otherwise_written


def test_a_free_name_is_the_wanted_one_unless_it_is_taken() -> None:
    assert free_name("id", ["joy"]) == "id"
    assert free_name("id", ["joy", "id"]) == "_id"
    assert free_name("id", ["_id", "id"]) == "__id"


@pytest.mark.parametrize(
    ("found", "meant"),
    [
        (["joy", "id"], {"id": "id", "joy": "joy"}),
        (["ID", " Joy "], {"id": "ID", "joy": " Joy "}),
        (["ID", "id", "joy"], {"id": "id", "joy": "joy"}),
        (["ID", "Id", "joy"], {"joy": "joy"}),
        (["key", "joy"], {"joy": "joy"}),
    ],
)
def test_a_name_in_another_case_counts_where_there_is_one(found: list[str], meant: dict[str, str]) -> None:
    assert matched(["id", "joy"], found) == meant


def test_two_names_that_differ_in_case_share_no_column() -> None:
    assert matched(["id", "ID"], ["Id"]) == {}
    assert matched(["id", "ID"], ["ID", "Id"]) == {"ID": "ID", "id": "Id"}


def test_what_is_written_otherwise_is_said() -> None:
    assert otherwise_written({"id": "ID", "joy": "joy"}, "x.csv") == ["x.csv: the column 'ID' is taken for 'id'"]
