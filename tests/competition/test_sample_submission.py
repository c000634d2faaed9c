from __future__ import annotations

import pytest

from compete.errors import DataError
from support.small_files import DECLARATION, SAMPLE, TEST, TRAIN, Load


def test_other_ids_in_the_sample_submission_are_refused(load: Load) -> None:
    with pytest.raises(DataError, match=r"1 only in test, 1 only in the sample \('12' only in test\)"):
        load(sample=SAMPLE.replace("12,", "13,"))
    with pytest.raises(DataError, match=r"0 only in test, 1 only in the sample \('13' only in the sample\)"):
        load(sample=SAMPLE + "13,0,0\n")


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ("id,joy", "missing: anger"),
        ("id,joy,fear", "missing: anger; not known: fear"),
        ("id,joy,anger,fear", "not known: fear"),
        ("key,joy,fear", "missing: id, anger; not known: key, fear"),
        ("joy,anger", "missing: id"),
        ("id,joy,Anger,ANGER", "missing: anger; not known: Anger, ANGER"),
    ],
)
def test_other_columns_in_the_sample_submission_are_refused(load: Load, header: str, what: str) -> None:
    zeros, columns = ",0" * header.count(","), ", ".join(header.split(","))
    with pytest.raises(
        DataError, match=rf"sample\.csv has the columns {columns}, expected id, joy, anger \({what}\)\."
    ):
        load(sample=f"{header}\n12{zeros}\n11{zeros}\n")


@pytest.mark.parametrize(
    ("sample", "columns", "warnings"),
    [
        ("joy,anger,id\n0,0,12\n0,0,11\n", ("joy", "anger", "id"), []),
        ("anger,id,joy\n0,12,0\n0,11,0\n", ("anger", "id", "joy"), []),
        ("id, anger , joy\n12,0,0\n11,0,0\n", ("id", "anger", "joy"), []),
        ("Id,joy,anger\n12,0,0\n11,0,0\n", ("id", "joy", "anger"), ["'Id' is taken for 'id'"]),
        ("id,Joy,ANGER\n12,0,0\n11,0,0\n", ("id", "joy", "anger"), ["'Joy' is taken for 'joy'", "'ANGER' is taken"]),
        ("row,joy,anger\n12,0,0\n11,0,0\n", ("id", "joy", "anger"), ["'row' is taken for 'id'"]),
    ],
    ids=["id last", "id within", "blanks", "case of the id", "case of labels", "id by its values"],
)
def test_a_sample_may_have_its_columns_anywhere_and_in_another_case(
    load: Load, sample: str, columns: tuple[str, ...], warnings: list[str]
) -> None:
    competition = load(sample=sample)
    assert competition.sample.columns == columns
    assert columns[competition.sample.id_at] == "id"
    assert competition.submission_ids == ["12", "11"]
    assert len(competition.warnings) == len(warnings)
    for warning, said in zip(competition.warnings, warnings, strict=True):
        assert warning.startswith("sample.csv: ") and said in warning


def test_a_label_called_like_the_id_but_for_case_is_told_from_it(load: Load) -> None:
    competition = load(
        DECLARATION.replace('id = "id"', 'id = "ID"'),
        train=TRAIN.replace("id,joy", "ID,id"),
        test=TEST.replace("id,", "ID,"),
        sample="id,ID,anger\n0,12,0\n0,11,0\n",
    )
    assert competition.labels == ("id", "anger")
    assert competition.sample.columns == ("id", "ID", "anger") and competition.sample.id_at == 1
    assert competition.warnings == ()


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ("id,joy,anger\n12.0,0,0\n11.0,0,0\n", r"2 only in test.*were read as floats \('12\.0' for '12'\): read them"),
        ("id,joy,anger\n12,0,0\n12,0,0\n11,0,0\n", r"sample\.csv has the id '12' more than once"),
        ("id,joy,anger\n12,0,0\n,0,0\n", r"1 only in test, 1 only in the sample \('11' only in test\)"),
        ("id,joy,anger\n", r"2 only in test, 0 only in the sample"),
    ],
)
def test_ids_of_the_sample_that_do_not_fit_are_named_before_training(load: Load, sample: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        load(sample=sample)
