from __future__ import annotations

import pytest

from compete.competition.layouts import Layout
from compete.competition.sample_submission import digits_of
from compete.errors import DataError
from compete.submissions.form import understood
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


def declared(task: str, metric: str, **data: str) -> str:
    """The tiny competition in another task; data: further keys of [data], as TOML."""
    lines = "".join(f"{key} = {value}\n" for key, value in data.items())
    return f'task = "{task}"\nmetric = "{metric}"\n{DECLARATION}{lines}'


CLASSES = "id,text,mood\n01,a,good\n02,b,bad\n03,c,good\n04,d,so so\n05,e,bad\n06,f,so so\n"
CELLS = "id,text,moods\n01,a,joy|very glad\n02,b,anger\n03,c,\n"
NUMBERS = "id,text,x,y\n01,a,1.5,2\n02,b,2.5,7\n03,c,4,1\n"
ONE_NUMBER = "id,text,x\n01,a,1.5\n02,b,2.5\n03,c,4\n"
MULTILABEL = declared("multilabel", "f1_macro", labels='["moods"]', label_separator='"|"')
LONG_SAMPLE = "row,value\n12_y,0\n12_x,0\n11_y,0\n11_x,0\n"


@pytest.mark.parametrize(
    ("toml", "train", "sample", "columns", "layout", "said"),
    [
        (
            declared("multiclass", "f1_macro"),
            CLASSES,
            "id,mood\n12,good\n11,\n",
            ("id", "mood"),
            Layout("class", "mood"),
            "one column of class names, as mood in sample.csv",
        ),
        (
            declared("multiclass", "f1_macro"),
            CLASSES,
            "mood,id\nbad,12\ngood,11\n",
            ("mood", "id"),
            Layout("class", "mood"),
            "one column of class names, as mood in sample.csv",
        ),
        (
            declared("multiclass", "accuracy"),
            CLASSES.replace("good", "1").replace("bad", "2").replace("so so", "10"),
            "key,prediction\n12,1.0\n11,10.0\n",
            ("id", "mood"),
            Layout("class", "mood"),
            "one column of class names, as mood in sample.csv",
        ),
        (
            declared("multiclass", "multiclass_log_loss"),
            CLASSES,
            "id,good,so so,bad\n12,0.3,0.3,0.4\n11,0.3,0.3,0.4\n",
            ("id", "good", "so so", "bad"),
            Layout(),
            "a column per class of probabilities, as good in sample.csv",
        ),
        (
            declared("multiclass", "multiclass_log_loss"),
            CLASSES,
            "id,p_good,p_so so,p_bad\n12,0.3,0.3,0.4\n11,0.3,0.3,0.4\n",
            ("id", "good", "so so", "bad"),
            Layout(),
            "a column per class of probabilities, as good in sample.csv",
        ),
        (
            declared("multiclass", "map_at_2"),
            CLASSES.replace("so so", "soso"),
            "id,mood\n12,good bad\n11,good bad\n",
            ("id", "mood"),
            Layout("list", "mood", " ", most=2),
            "one column with the 2 most probable classes in order, parted by ' ', as mood in sample.csv",
        ),
        (
            MULTILABEL,
            CELLS,
            "id,moods\n12,joy;anger\n11,\n",
            ("id", "moods"),
            Layout("list", "moods", ";"),
            "one column with several labels, parted by ';', as moods in sample.csv",
        ),
        (
            MULTILABEL,
            CELLS,
            'id,moods\n12,"[""joy"", ""very glad""]"\n11,[]\n',
            ("id", "moods"),
            Layout("list", "moods", "json"),
            "one column with several labels, as JSON lists, as moods in sample.csv",
        ),
        (
            MULTILABEL,
            CELLS,
            "id,labels\n12,joy\n11,\n",
            ("id", "moods"),
            Layout("list", "moods", "|"),
            "one column with several labels, parted by '|', as moods in sample.csv",
        ),
        (
            MULTILABEL,
            CELLS,
            "id,joy,very glad,anger\n12,0,0,0\n11,0,0,0\n",
            ("id", "joy", "very glad", "anger"),
            Layout(),
            "a column per label of 0 and 1, as joy in sample.csv",
        ),
        (
            declared("regression", "rmse"),
            NUMBERS,
            "id,x,y\n12,0.5,0.5\n11,0.5,0.5\n",
            ("id", "x", "y"),
            Layout(),
            "a column per target of numbers, as x in sample.csv",
        ),
        (
            declared("regression", "rmse"),
            ONE_NUMBER,
            "id,prediction\n12,0.5\n11,0.5\n",
            ("id", "x"),
            Layout(),
            "one column of numbers, as x in sample.csv",
        ),
        (
            declared("regression", "rmse"),
            NUMBERS,
            "id,x,y\n12,0.25,1.5\n11,1.125,2\n",
            ("id", "x", "y"),
            Layout(digits=3),
            "a column per target of numbers with 3 digits after the point, as x in sample.csv",
        ),
        (
            declared("ordinal", "quadratic_weighted_kappa", labels='["y"]'),
            "id,text,y\n01,a,1\n02,b,2\n03,c,3\n",
            "id,y\n12,1\n11,1\n",
            ("id", "y"),
            Layout(),
            "one column of grades, as y in sample.csv",
        ),
        (
            declared("binary", "f1"),
            "id,text,joy\n01,a,0\n02,b,1\n03,c,0\n",
            "id,joy\n12,no\n11,no\n",
            ("id", "joy"),
            Layout(),
            "one column of no and yes, as joy in sample.csv",
        ),
        (
            declared("regression", "rmse"),
            NUMBERS,
            LONG_SAMPLE,
            ("row", "value"),
            Layout(
                "long",
                "value",
                rows=[("12", "y"), ("12", "x"), ("11", "y"), ("11", "x")],
                keys=[("12_y",), ("12_x",), ("11_y",), ("11_x",)],
                key_columns=("row",),
            ),
            "a row per id and target, and numbers as value in sample.csv",
        ),
        (
            declared("regression", "rmse"),
            NUMBERS,
            "value,what,id\n0,x,12\n0,x,11\n0,y,12\n0,y,11\n",
            ("value", "what", "id"),
            Layout(
                "long",
                "value",
                rows=[("12", "x"), ("11", "x"), ("12", "y"), ("11", "y")],
                keys=[("12", "x"), ("11", "x"), ("12", "y"), ("11", "y")],
                key_columns=("id", "what"),
            ),
            "a row per id and target, and numbers as value in sample.csv",
        ),
    ],
)
def test_every_form_is_understood_and_said(
    load: Load, toml: str, train: str, sample: str, columns: tuple[str, ...], layout: Layout, said: str
) -> None:
    competition = load(toml, train=train, sample=sample)
    assert competition.sample.columns == columns
    assert competition.sample.layout == layout
    assert competition.submission_ids == ["12", "11"]
    assert understood(competition) == f"a submission has {said}"


@pytest.mark.parametrize(
    ("toml", "train", "columns", "said"),
    [
        (declared("multiclass", "f1_macro"), CLASSES, ("id", "mood"), "one column of class names, as mood"),
        (declared("multiclass", "roc_auc_macro"), CLASSES, ("id", "bad", "good", "so so"), "a column per class of"),
        (declared("multiclass", "map_at_3"), CLASSES, ("id", "mood"), "the 3 most probable classes in order, parted"),
        (MULTILABEL, CELLS, ("id", "moods"), "one column with several labels, parted by '|'"),
        (declared("regression", "rmse"), NUMBERS, ("id", "x", "y"), "a column per target of numbers"),
    ],
)
def test_without_a_sample_it_is_as_train_and_the_metric_want(
    load: Load, toml: str, train: str, columns: tuple[str, ...], said: str
) -> None:
    competition = load(toml.replace('sample_submission = "sample.csv"\n', ""), train=train)
    assert competition.sample.columns == columns
    assert said in understood(competition) and understood(competition).endswith(", as no sample submission is declared")


@pytest.mark.parametrize(
    ("toml", "train", "sample", "said"),
    [
        (
            declared("multiclass", "f1_macro"),
            CLASSES,
            "id,mood\n12,great\n11,good\n",
            (
                r"expected id, bad, good, so so \(missing: bad, good, so so; not known: mood\)\. What was tried:\n"
                r"  a row per id and class: no column, and no two, name an id and a class in every row\n"
                r"  a column per class: no bad, good, so so; mood would be nothing\n"
                r"  a column of class names: mood holds 'great', which is none of bad, good, so so\n"
            ),
        ),
        (
            declared("multiclass", "f1_macro"),
            CLASSES,
            "id,mood,more\n12,good,1\n11,good,1\n",
            "a column of class names: there are 3 columns",
        ),
        (
            declared("multiclass", "f1_macro"),
            CLASSES,
            "row,mood\n1,good\n2,good\n",
            r"a column of class names: no column is 'id' or holds the ids of test\.csv",
        ),
        (MULTILABEL, CELLS, "id,moods\n12,joy fear\n11,\n", "moods holds 'joy fear', and no separator parts that into"),
        (
            declared("regression", "rmse"),
            NUMBERS,
            "id,x\n12,0.5\n11,0.5\n",
            r"expected id, x, y \(missing: y\)\. What was tried:\n  a row per id and target: .*\n"
            r"  a column per target: no y\nCheck task, metric, data\.id",
        ),
        (
            declared("regression", "rmse"),
            NUMBERS,
            LONG_SAMPLE.replace("11_x,0\n", ""),
            "no row for '11' and the target 'x'",
        ),
        (
            declared("regression", "rmse"),
            NUMBERS,
            "id,x_0,x_1,y_0,y_1\n12,0.5,0.5,0.5,0.5\n11,0.5,0.5,0.5,0.5\n",
            r"a column per target: x_0, x_1 would be 2 columns of x, and of each there is one value",
        ),
        (
            declared("regression", "rmse"),
            NUMBERS,
            "id,target,grade,p\n12,x,0,0.5\n12,x,1,0.5\n11,x,0,0.5\n11,x,1,0.5\n",
            r"a row per id and target: no column, and no two, name an id and a target",
        ),
        (
            declared("regression", "rmse"),
            NUMBERS,
            "id,target,p\n12,x,0.5\n12,x,0.5\n12,y,0.5\n11,x,0.5\n11,y,0.5\n",
            "2 rows for '12' and the target 'x', expected one",
        ),
        (declared("regression", "rmse"), NUMBERS, LONG_SAMPLE + "11_x,0\n", "2 rows for '11' and the target 'x', exp"),
        (declared("regression", "rmse"), NUMBERS, LONG_SAMPLE + "13_x,0\n", "the row '13_x', which is no test id with"),
        (declared("multiclass", "f1_macro"), CLASSES, "id,mood\n12.0,good\n11.0,good\n", "were read as floats"),
    ],
)
def test_a_sample_that_fits_no_reading_is_refused_with_what_was_tried(
    load: Load, toml: str, train: str, sample: str, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        load(toml, train=train, sample=sample)


@pytest.mark.parametrize(
    ("cells", "digits"),
    [
        ({"0.5"}, None),
        ({"0.5", "0.25"}, None),
        ({"0.5", "0.25", "1"}, 2),
        ({"1", "2", "3"}, None),
        ({"1.5", "2", "what"}, None),
        ({"1.5", "2.25", "3e4"}, None),
        ({"-1.50", "+2.2", "3.", "4"}, 2),
    ],
)
def test_two_numbers_are_placeholders(cells: set[str], digits: int | None) -> None:
    assert digits_of(cells) == digits
