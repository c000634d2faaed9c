from __future__ import annotations

from pathlib import Path

import pytest

from compete.competition.declaration import CompetitionDeclaration, read_declaration
from compete.competition.workspace import Workspace
from compete.errors import DeclarationError

GOOD = """\
name = "tiny"

[data]
train = "train.csv"
test = ["test_a.csv", "test_b.csv"]
id = "id"
text = "text"
"""


def read(root: Path, text: str) -> CompetitionDeclaration:
    (root / "competition.toml").write_text(text, encoding="utf-8")
    return read_declaration(Workspace(root))


def problems_of(root: Path, text: str) -> dict[str, str]:
    """Dotted key to message, as a user reads them in the one error."""
    with pytest.raises(DeclarationError) as caught:
        read(root, text)
    title, *lines = str(caught.value).splitlines()
    count = len(lines)
    assert title == f"competition.toml: {count} problem{'s' * (count > 1)}"
    return dict(line.strip().split(": ", 1) for line in lines)


def test_defaults_are_filled_in_and_one_file_is_a_list_of_one(tmp_path: Path) -> None:
    declaration = read(tmp_path, GOOD)
    assert declaration.data.train == ["train.csv"]
    assert declaration.data.test == ["test_a.csv", "test_b.csv"]
    assert (declaration.folds.k, declaration.folds.seed) == (5, 42)
    assert declaration.metric_name == "f1_macro"
    assert declaration.data.labels is None


def test_an_unknown_key_names_the_one_that_was_meant(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, GOOD + 'seperator = ";"\n')
    assert list(problems) == ["data.seperator"]
    assert "did you mean 'separator'?" in problems["data.seperator"]


def test_an_unknown_table_names_the_one_that_was_meant(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, GOOD + "[fold]\nk = 3\n")
    assert list(problems) == ["fold"]
    assert "did you mean 'folds'?" in problems["fold"]


def test_a_key_like_no_other_lists_the_known_ones_without_a_guess(tmp_path: Path) -> None:
    message = problems_of(tmp_path, GOOD + "[folds]\nzzz = 3\n")["folds.zzz"]
    assert "did you mean" not in message
    assert "known: column, groups, k, seed" in message


@pytest.mark.parametrize(
    ("extra", "key", "found"),
    [
        ('[folds]\nk = "five"\n', "folds.k", '"five"'),
        ("[folds]\nk = 1\n", "folds.k", "1"),
        ("[folds]\nseed = -1\n", "folds.seed", "-1"),
        ("labels = 3\n", "data.labels", "3"),
        ("labels = []\n", "data.labels", "[]"),
        ('labels = ["joy", 7]\n', "data.labels.1", "7"),
        ('separator = "||"\n', "data.separator", '"||"'),
        ("[submission]\ndaily_limit = 0\n", "submission.daily_limit", "0"),
    ],
)
def test_a_wrong_value_is_shown_under_its_dotted_key(tmp_path: Path, extra: str, key: str, found: str) -> None:
    problems = problems_of(tmp_path, GOOD + extra)
    assert list(problems) == [key]
    assert problems[key].startswith(f"found {found}, ")


def test_wrong_file_lists_are_refused(tmp_path: Path) -> None:
    assert list(problems_of(tmp_path, GOOD.replace('"train.csv"', "3"))) == ["data.train"]
    assert list(problems_of(tmp_path, GOOD.replace('"train.csv"', "[]"))) == ["data.train"]


def test_a_misspelt_choice_names_all_choices_and_the_nearest(tmp_path: Path) -> None:
    message = problems_of(tmp_path, 'metric = "f1-macro"\n' + GOOD)["metric"]
    assert message.startswith('found "f1-macro", allowed: f1_macro, f1_micro, ')
    assert message.endswith("did you mean 'f1_macro'?")


def test_missing_keys_are_all_named(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, "[data]\n")
    assert problems == dict.fromkeys(
        ["name", "data.train", "data.test", "data.id", "data.text"], "is required and missing"
    )


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    assert problems_of(tmp_path, 'name = "tiny"\n') == {"data": "is required and missing"}


def test_id_and_text_may_not_be_one_column(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, GOOD.replace('text = "text"', 'text = "id"'))
    assert problems == {"data.text": "is 'id', the same column as data.id"}


@pytest.mark.parametrize("role", ["id", "text"])
def test_a_label_may_not_be_the_id_or_the_text_column(tmp_path: Path, role: str) -> None:
    problems = problems_of(tmp_path, GOOD + f'labels = ["joy", "{role}"]\n')
    assert problems == {"data.labels": f"contains '{role}', which is the {role} column"}


def test_a_label_may_not_be_named_twice(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, GOOD + 'labels = ["joy", "anger", "joy"]\n')
    assert problems == {"data.labels": "names a column twice: joy"}


def test_kaggle_as_a_target_needs_a_competition(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, GOOD + '[submission]\ntarget = "kaggle"\n')
    assert problems == {
        "submission.kaggle": 'is missing: target = "kaggle" needs the SLUG of kaggle.com/competitions/SLUG'
    }


def test_a_competition_on_kaggle_may_be_named_though_the_target_is_local(tmp_path: Path) -> None:
    declared = read(tmp_path, GOOD + '[submission]\nkaggle = "Toy-posts-2"\n').submission
    assert (declared.target, declared.kaggle) == ("local", "Toy-posts-2")


@pytest.mark.parametrize(
    "slug", ["https://www.kaggle.com/competitions/toy", "competitions/toy", "-toy", "toy posts", "toy_posts", "toy\\n"]
)
def test_a_slug_is_the_last_part_of_an_address(tmp_path: Path, slug: str) -> None:
    problems = problems_of(tmp_path, f'{GOOD}[submission]\ntarget = "kaggle"\nkaggle = "{slug}"\n')
    assert list(problems) == ["submission.kaggle"]
    assert problems["submission.kaggle"].startswith(f'found "{slug}", ')


@pytest.mark.parametrize(
    ("extra", "key"),
    [
        ('kernel = "notebook"', "submission.kernel"),
        ('kernel = "ann/my notebook"', "submission.kernel"),
        ("public_fraction = 0.0", "submission.public_fraction"),
        ("public_fraction = 1.0", "submission.public_fraction"),
    ],
)
def test_a_wrong_setting_of_the_submission_is_named(tmp_path: Path, extra: str, key: str) -> None:
    assert list(problems_of(tmp_path, f"{GOOD}[submission]\n{extra}\n")) == [key]


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = """\
name = 5
metric = "f2"

[data]
train = "train.csv"
tests = "test.csv"
id = "id"
text = "id"
labels = ["joy", "joy"]

[folds]
k = 0
"""
    problems = problems_of(tmp_path, text)
    assert sorted(problems) == sorted(
        ["name", "metric", "data.test", "data.tests", "data.text", "data.labels", "folds.k"]
    )
    assert "did you mean 'test'?" in problems["data.tests"]


def test_a_syntax_error_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"competition\.toml is not valid TOML: .*line 3\b"):
        read(tmp_path, 'name = "tiny"\n[data]\ntrain = train.csv\n')


def test_a_file_that_is_not_utf8_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "competition.toml").write_bytes('name = "très"\n'.encode("latin-1"))
    with pytest.raises(DeclarationError, match=r"is not valid TOML: .*utf-8"):
        read_declaration(Workspace(tmp_path))


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeff" + GOOD) == read(tmp_path, GOOD)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"competition\.toml does not exist"):
        read_declaration(Workspace(tmp_path))
