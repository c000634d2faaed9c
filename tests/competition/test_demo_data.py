from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from random import Random

import pytest

from compete.competition import demo_data
from compete.competition.demo_data import TEST_ROWS, TEXT_COLUMN, TRAIN_ROWS, write_demo_data
from compete.competition.demo_phrases import AFFIRMED, CONTRASTED, EMOJI, FEELINGS, HASHTAGS, LABELS, NEGATED, PHRASES
from compete.competition.reading import read_table
from compete.errors import UserError

pytestmark = pytest.mark.slow

Row = dict[str, str]

# All 7,724 training rows of SemEval-2018 task 1 E-c.
REAL_RATES = {
    "anger": 0.370,
    "anticipation": 0.143,
    "disgust": 0.378,
    "fear": 0.176,
    "joy": 0.372,
    "love": 0.108,
    "optimism": 0.297,
    "pessimism": 0.116,
    "sadness": 0.294,
    "surprise": 0.051,
    "trust": 0.052,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "data"
    write_demo_data(folder)
    return folder


@pytest.fixture(scope="module")
def train(folder: Path) -> list[Row]:
    return rows_of(folder / "train.csv")


@pytest.fixture(scope="module")
def labelled(folder: Path, train: list[Row]) -> list[Row]:
    """Train and test posts, the test ones with the labels of the solution."""
    test, solution = rows_of(folder / "test.csv"), rows_of(folder / "solution.csv")
    return train + [{**post, **labels} for post, labels in zip(test, solution, strict=True)]


def rows_of(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def labels_of(row: Row) -> set[str]:
    return {label for label in LABELS if row[label] == "1"}


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_seed_writes_the_same_bytes_and_another_seed_does_not(folder: Path, tmp_path: Path) -> None:
    write_demo_data(tmp_path / "again")
    write_demo_data(tmp_path / "other", seed=1)

    assert bytes_in(tmp_path / "again") == bytes_in(folder)
    assert (tmp_path / "other" / "train.csv").read_bytes() != (folder / "train.csv").read_bytes()


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_no_order_depends_on_string_hashes_and_neither_pandas_nor_numpy_is_needed(
    hash_seed: str, folder: Path, tmp_path: Path
) -> None:
    script = (
        "import sys; from pathlib import Path; from compete.competition.demo_data import write_demo_data; "
        "write_demo_data(Path(sys.argv[1])); assert not {'pandas', 'numpy'} & set(sys.modules)"
    )
    environment = {
        **os.environ,
        "PYTHONHASHSEED": hash_seed,
        "PYTHONPATH": str(Path(demo_data.__file__).parents[2]),
    }

    subprocess.run([sys.executable, "-c", script, str(tmp_path / "data")], check=True, env=environment)

    assert bytes_in(tmp_path / "data") == bytes_in(folder)


def test_the_returned_paths_are_exactly_what_is_in_the_folder(tmp_path: Path) -> None:
    paths = write_demo_data(tmp_path)

    names = ["train.csv", "test.csv", "sample_submission.csv", "solution.csv", "ABOUT.md"]
    assert paths == [tmp_path / name for name in names]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert not any(b"\r" in content for content in bytes_in(tmp_path).values())


def test_header_and_about_say_that_the_posts_are_synthetic(folder: Path) -> None:
    header = (folder / "train.csv").read_text(encoding="utf-8").split("\n", 1)[0]

    assert header == "id,synthetic_post," + ",".join(LABELS)
    assert (folder / "test.csv").read_text(encoding="utf-8").startswith("id,synthetic_post\n")
    about = (folder / "ABOUT.md").read_text(encoding="utf-8")
    assert "synthetic" in about
    assert "no real person's words" in about


def test_ids_are_unique_and_the_three_test_files_list_the_same_ones_in_order(folder: Path) -> None:
    ids = {name: [row["id"] for row in rows_of(folder / f"{name}.csv")] for name in ("train", "test")}

    assert (len(ids["train"]), len(ids["test"])) == (TRAIN_ROWS, TEST_ROWS)
    assert len({*ids["train"], *ids["test"]}) == TRAIN_ROWS + TEST_ROWS
    assert (ids["train"][0], ids["test"][-1]) == ("demo-train-0001", "demo-test-0500")
    for name in ("sample_submission", "solution"):
        assert [row["id"] for row in rows_of(folder / f"{name}.csv")] == ids["test"]


def test_the_sample_submission_predicts_nothing(folder: Path) -> None:
    rows = rows_of(folder / "sample_submission.csv")

    assert list(rows[0]) == ["id", *LABELS]
    assert {row[label] for row in rows for label in LABELS} == {"0"}


def test_about_half_of_the_solution_is_public(folder: Path) -> None:
    usage = [row["Usage"] for row in rows_of(folder / "solution.csv")]

    assert set(usage) == {"Public", "Private"}
    assert 0.45 < usage.count("Public") / len(usage) < 0.55
    assert usage != sorted(usage)


def test_every_label_is_as_frequent_as_in_the_real_task(labelled: list[Row]) -> None:
    rates = {label: sum(row[label] == "1" for row in labelled) / len(labelled) for label in LABELS}

    assert rates == pytest.approx(REAL_RATES, abs=0.01)


def test_a_few_posts_have_no_label_in_train_and_in_test(labelled: list[Row]) -> None:
    for part in (labelled[:TRAIN_ROWS], labelled[TRAIN_ROWS:]):
        assert 0.02 < sum(not labels_of(row) for row in part) / len(part) < 0.04


@pytest.mark.parametrize(
    ("label", "given", "low", "high"),
    [
        ("disgust", "anger", 0.75, 0.95),
        ("optimism", "joy", 0.55, 0.80),
        ("joy", "love", 0.85, 1.00),
        ("sadness", "pessimism", 0.60, 0.90),
        ("joy", "anger", 0.02, 0.15),
    ],
)
def test_labels_occur_together_as_in_the_real_task(
    label: str, given: str, low: float, high: float, labelled: list[Row]
) -> None:
    chosen = [row for row in labelled if row[given] == "1"]

    assert low <= sum(row[label] == "1" for row in chosen) / len(chosen) <= high


def test_happy_means_joy_except_under_negation(labelled: list[Row]) -> None:
    def joy_rate(pattern: str) -> float:
        flags = [row["joy"] == "1" for row in labelled if re.search(pattern, row[TEXT_COLUMN].casefold())]
        assert len(flags) >= 5
        return sum(flags) / len(flags)

    joyful = "|".join(FEELINGS["joy"])
    assert joy_rate(rf"so ({joyful}) about|never been this ({joyful})|how ({joyful}) i am") == 1.0
    assert joy_rate(rf"nobody here is ({joyful})|not call myself ({joyful})|hardly ({joyful})") == 0.0
    # "not a day goes by that i am not happy about it": the words next to each other are not enough.
    assert 0.0 < joy_rate(rf"\bnot ({joyful}) about") < 1.0


def test_some_labels_have_no_cue_so_that_no_model_can_be_perfect(labelled: list[Row]) -> None:
    sadnesses = [row for row in labelled if row["sadness"] == "1"]
    signs = [*FEELINGS["sadness"], *HASHTAGS["sadness"], *EMOJI["sadness"]]
    signs += [re.sub(r"\{\w+\}", "", phrase).strip(" ,") for phrase in PHRASES["sadness"]]
    silent = [row for row in sadnesses if not any(sign in row[TEXT_COLUMN].casefold() for sign in signs)]

    assert 0.05 < len(silent) / len(sadnesses) < 0.4


def test_near_duplicates_are_few_and_nearly_always_labelled_alike(labelled: list[Row]) -> None:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in labelled:
        plain = re.sub(r"@\w+|https?://\S+", " ", row[TEXT_COLUMN].casefold())
        groups[" ".join(plain.split())].append(row)
    repeated = [group for group in groups.values() if len(group) > 1]
    alike = [labels_of(group[0]) == labels_of(group[1]) for group in repeated]

    assert 0.01 < sum(len(group) - 1 for group in repeated) / len(labelled) < 0.02
    assert len({row[TEXT_COLUMN] for row in labelled}) == len(labelled)
    assert 0.8 < sum(alike) / len(alike) < 1.0


def test_commas_quotes_newlines_and_emoji_survive_both_readers(folder: Path, train: list[Row]) -> None:
    texts = [row[TEXT_COLUMN] for row in train]

    for character, fewest in ((",", 200), ('"', 20), ("\n", 5), ("#", 100), ("@", 100), ("😭", 5)):
        assert sum(character in text for text in texts) >= fewest, character
    assert any("https://example.com/" in text for text in texts)
    assert not any("{" in text or text != text.strip() for text in texts)
    assert list(read_table(folder / "train.csv")[TEXT_COLUMN]) == texts
    assert len(read_table(folder / "test.csv")) == TEST_ROWS


def test_what_is_written_are_the_generated_posts(train: list[Row]) -> None:
    generated = demo_data._posts(Random(2018))

    assert [row[TEXT_COLUMN] for row in train] == [post.text for post in generated[:TRAIN_ROWS]]
    assert [labels_of(row) for row in train] == [set(post.labels) for post in generated[:TRAIN_ROWS]]


def test_writing_twice_is_fine_and_leaves_the_files_alone(tmp_path: Path) -> None:
    first = [path.stat().st_mtime_ns for path in write_demo_data(tmp_path)]
    again = [path.stat().st_mtime_ns for path in write_demo_data(tmp_path)]

    assert again == first


@pytest.mark.parametrize("name", ["train.csv", "ABOUT.md"])
def test_somebodys_own_file_is_refused_and_left_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("id,text\n1,mine\n", encoding="utf-8")

    with pytest.raises(UserError, match=rf"{re.escape(name)} is already there.*choose an empty folder"):
        write_demo_data(tmp_path)

    assert bytes_in(tmp_path) == {name: b"id,text\n1,mine\n"}


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine", encoding="utf-8")

    for folder in (tmp_path / "data", tmp_path / "data" / "deeper"):
        with pytest.raises(UserError, match="is a file"):
            write_demo_data(folder)


def test_every_label_has_words_and_every_template_its_slots() -> None:
    for bank in (FEELINGS, PHRASES, HASHTAGS, EMOJI):
        assert set(bank) == set(LABELS)
    assert all("{feeling}" in template for template in (*AFFIRMED, *CONTRASTED))
    assert all("{wrong}" in template for template in (*NEGATED, *CONTRASTED))
    assert not any("{wrong}" in template for template in AFFIRMED)
