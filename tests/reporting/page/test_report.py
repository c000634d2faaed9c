"""The page of the report: complete, self-contained, true to the workspace, and safe from what texts and names say."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest

import compete
from compete.competition.workspace import Workspace
from compete.opened import Opened
from compete.reporting.figures.catalogue import Catalogue
from compete.reporting.figures.style import PALETTE
from compete.reporting.page.report import render_page, write_report
from support.lived_in import (
    LABELS,
    NAME,
    ODD_STACK,
    PLANTED,
    build_stacks,
    copied,
    declare,
    reveal,
    send,
    train_models,
    write_model,
)
from support.report_page import ReportPage, read_page

pytestmark = pytest.mark.slow

SECTIONS = ["data", "models", "labels", "stack", "errors", "submissions", "made"]
MODEL_TABLE = "Every base model"
SCORE_TABLE = "Honest and naive score"
SUBMISSION_TABLE = "Every submission"


@pytest.fixture(scope="module")
def page(report_page: Path) -> ReportPage:
    return read_page(report_page)


@pytest.fixture
def lived(worked_in: Workspace, tmp_path: Path) -> Workspace:
    return copied(worked_in, tmp_path)


def without_figures(workspace: Workspace, size: str | None = None) -> ReportPage:
    """The page of today; drawing is what takes its time."""
    return read_page(render_page(compete.open(workspace.root, size=size), Catalogue(), {}))


def test_every_section_is_there_in_order_and_linked(page: ReportPage) -> None:
    assert [attributes["id"] for tag, attributes in page.elements if tag == "section"] == SECTIONS
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert [link for link in links if link.startswith("#")] == [f"#{name}" for name in SECTIONS]


def test_every_figure_is_in_the_page_and_beside_it(page: ReportPage, report_page: Path, opened: Opened) -> None:
    figures = [attributes["id"] for tag, attributes in page.elements if tag == "figure"]
    assert sorted(figures) == sorted(f"figure-{name}" for name in opened.figures())
    assert page.count("svg") == len(figures)
    files = {path.name for path in (report_page.parent / "figures").iterdir()}
    assert files == {f"{name}.{kind}" for name in opened.figures() for kind in ("png", "svg")}
    for path in (report_page.parent / "figures").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert len(path.read_bytes()) > 5000
    for path in (report_page.parent / "figures").glob("*.svg"):
        assert ET.parse(path).getroot().tag.endswith("}svg")
    links = {attributes["href"] for tag, attributes in page.elements if tag == "a"}
    assert {unquote(link) for link in links if link.startswith("figures/")} == {f"figures/{name}" for name in files}
    assert not any(set(link) & set('<>" %') - {"%"} for link in links)


def test_nothing_is_fetched_from_anywhere(page: ReportPage, report_page: Path) -> None:
    for tag, attributes in page.elements:
        assert tag not in ("base", "iframe", "object", "embed", "img", "video", "audio", "source"), tag
        assert "src" not in attributes and "srcset" not in attributes
        for name in ("href", "xlink:href"):
            fetched = attributes.get(name, "#")
            expected = ("#", "figures/") if tag == "a" else ("#", "data:")
            assert fetched.startswith(expected), (tag, fetched[:80])
    text = report_page.read_text(encoding="utf-8")
    assert "@import" not in text
    assert not re.findall(r"url\((?!#)", text)
    script = next(code for code in page.scripts if "use strict" in code)
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|innerHTML|insertAdjacentHTML|document\.write|eval\(", script)
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_ids_are_unique_in_the_whole_page(page: ReportPage, report_page: Path) -> None:
    counted = Counter(attributes["id"] for _, attributes in page.elements if "id" in attributes)
    assert [name for name, count in counted.items() if count > 1] == []
    text = report_page.read_text(encoding="utf-8")
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(counted)


def test_the_pages_drawings_have_the_pages_colours(report_page: Path) -> None:
    drawings = re.findall(r"<svg.*?</svg>", report_page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(drawings) > 15
    for drawing in drawings:
        tags = "".join(re.findall(r"<[^>]*>", drawing))
        assert not [light for light, _ in PALETTE.values() if light in tags]
        assert "var(--ink)" in tags and "var(--paper)" in tags


def test_markup_in_texts_and_names_stays_text(page: ReportPage, report_page: Path) -> None:
    assert page.headings["h1"] == [NAME]
    assert page.headings["title"] == [f"{NAME}: report"]
    assert page.count("script") == 2 and page.count("img") == page.count("i") == 0
    assert len([text for text in page.scripts if "alert" in text]) == 1  # where the texts are data
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    text = report_page.read_text(encoding="utf-8")
    assert "<script>alert" not in text and "<img" not in text and "<!--<script>" not in text
    assert "49" not in page.headings["h1"][0]
    source = text[text.index('id="hard-rows">') :]
    data = source[len('id="hard-rows">') : source.index("</script>")]
    assert not set(data) & set("<>&\u2028\u2029")
    assert data.isascii()


def test_texts_come_through_letter_by_letter(page: ReportPage, opened: Opened) -> None:
    found = page.hard_rows()
    assert found["labels"] == list(LABELS)
    for name, text in zip(found["ids"], found["texts"], strict=True):
        assert text == opened.train.loc[name, "text"]
    for planted in PLANTED:
        assert any(planted in text for text in found["texts"]), planted


def test_names_of_labels_are_drawn_as_they_are(page: ReportPage) -> None:
    drawn = set(page.headings["text"])
    assert {LABELS[0], LABELS[2]} <= drawn
    assert any(text.startswith('<img src=x onerror="alert(2)') for text in drawn)
    assert f"stack {ODD_STACK}" in drawn


def test_tables_hold_the_workspaces_numbers(page: ReportPage, opened: Opened) -> None:
    for name, model in opened.models.iterrows():
        row = page.row(MODEL_TABLE, str(name))
        assert row["honest"] == f"{model['honest']:.4f}"
        assert row["95 % interval"] == f"{model['low']:.4f} to {model['high']:.4f}"
        assert (row["naive"], row["state"], row["folds"]) == (f"{model['naive']:.4f}", "fresh", "3/3")
    for shown in opened.ranked:
        row = page.row(SCORE_TABLE, shown.title.removeprefix("base model "))
        assert row["honest"] == f"{shown.score.honest:.4f}"
        assert row["optimism"] == f"{shown.score.naive - shown.score.honest:+.4f}"
    assert opened.chosen is not None
    for label, score in opened.chosen.score.labels.items():
        row = page.row(f"Labels and thresholds of {opened.chosen.title}", label)
        assert row["rate"] == f"{opened.train[label].mean():.3f}"
        assert row["F1"] == f"{score.f1:.3f}"
        assert row["threshold"].startswith(f"{score.threshold:.3f} ± ")
    for number, sent in opened.ledger.iterrows():
        row = page.row(SUBMISSION_TABLE, str(number))
        assert (row["what"], row["state"]) == (sent["source"], "scored")
        assert (row["public"], row["private"]) == (f"{sent['public']:.4f}", f"{sent['private']:.4f}")
        assert row["public expected"] == f"{sent['public_low']:.4f} to {sent['public_high']:.4f}"
    rows = dict(page.tables["Rows"])
    assert (rows["training rows"], rows["test rows"], rows["labels"], rows["folds"]) == ("240", "90", "3", "3")
    assert rows["labels per training row"] == f"{opened.train[list(LABELS)].sum(axis=1).mean():.2f}"


def test_the_chosen_stack_alone_is_marked(report_page: Path) -> None:
    text = report_page.read_text(encoding="utf-8")
    assert re.findall(r'<tr class="chosen"><td>([^<]*)<', text) == ["stack logistic"]


def test_how_it_was_made_can_be_made_again(page: ReportPage, opened: Opened) -> None:
    commands = [row[0] for row in page.tables["Commands"][1:]]
    assert commands[:2] == ["compete folds", "compete train-base words words_smooth"]
    assert commands[2] == f"compete stack '{ODD_STACK}' logistic --leave-one-out"
    versions = dict(page.tables["Versions"])
    assert versions["compete"] == compete.__version__
    assert {"python", "numpy"} <= set(versions)
    seeds = dict(page.tables["Seeds"])
    assert seeds["fold plan, K = 3"] == "7"
    assert seeds["words"] == "42"
    prints = dict(page.tables["Fingerprints"])
    assert prints["train texts"] == opened.competition.fingerprints["train texts"]
    files = opened.find("logistic").record["files"]
    assert prints["stack logistic, test.parquet"] == files["test.parquet"][:16]
    assert "Trained on: " in page.sections["made"] and "cores" in page.sections["made"]


def test_versions_are_of_the_processes_that_trained(
    untouched: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = copied(untouched, tmp_path)
    monkeypatch.setattr("compete.oof.job.made_by", lambda: {"numpy": "1.0", "machine": "m", "gpu": "A Card"})
    train_models(workspace, ["words"], [0, 1])
    monkeypatch.setattr("compete.oof.job.made_by", lambda: {"numpy": "2.0", "machine": "m", "cores": "8"})
    train_models(workspace, ["words"])
    page = without_figures(workspace)
    assert dict(page.tables["Versions"][1:])["numpy"] == "1.0, 2.0"
    assert "Trained on: m, 8 cores, A Card." in page.sections["made"]


def test_a_size_that_was_asked_for_is_part_of_the_commands(untouched: Workspace, tmp_path: Path) -> None:
    workspace = copied(untouched, tmp_path)
    train_models(workspace, ["words"])
    commands = [row[0] for row in without_figures(workspace, size="miniature").tables["Commands"][1:]]
    assert commands == ["compete folds", "compete train-base words --size miniature"]


SECRETS = {"KAGGLE_KEY": "5ecret0key", "KAGGLE_USERNAME": "5ecret0name", "HF_TOKEN": "hf_5ecret0token"}


def test_no_secret_and_no_place_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, lived: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        "compete.reporting.page.report.png", lambda figure: b""
    )  # the SVG says the same, and can be read
    lived.base_model("words").oof.write_bytes(b"torn")  # errors name files
    lived.stack("logistic").test.unlink()
    (lived.submissions / "kaggle.json").write_text('{"key": "5ecret0key"}', encoding="utf-8")
    folder = tmp_path_factory.mktemp("elsewhere")
    write_report(compete.open(lived.root), folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        assert b"5ecret0" not in content, path
        for place in (lived.root, folder, Path.home()):
            assert str(place).encode() not in content, path
    page = read_page(folder / "index.html")
    assert "words is not in the figures: damaged: oof/words/oof.parquet is not the file" in page.sections["models"]
    assert page.row(MODEL_TABLE, "words")["honest"] == "-"
    assert "stack logistic is not in the figures: oof/stacks/logistic/test.parquet is missing" in page.sections["stack"]


def test_what_is_stale_has_no_score_and_a_reason(lived: Workspace) -> None:
    write_model(lived, "words", 9.0)
    page = without_figures(lived)
    row = page.row(MODEL_TABLE, "words")
    assert [row[c] for c in ("state", "honest", "95 % interval", "naive")] == ["stale", "-", "-", "-"]
    assert [row[0] for row in page.tables[SCORE_TABLE][1:]] == ["words_smooth"]
    assert "words is not in the figures: stale: settings.smoothing: 1.0 -> 9.0." in page.sections["models"]
    assert "No stack is built yet, or none that is up to date" in page.sections["stack"]
    assert "its base model words is stale" in page.sections["stack"]
    assert page.hard_rows()["models"] == ["words_smooth"]


def test_an_edited_competition_is_told_and_nothing_else_is(lived: Workspace) -> None:
    text = lived.declaration.read_text(encoding="utf-8")
    lived.declaration.write_text(text.replace("seed = 7", "seed = 8"), encoding="utf-8")
    page = without_figures(lived)
    assert "The competition was edited after the fold plan was made: folds.seed: 7 -> 8." in page.sections["data"]
    assert SCORE_TABLE not in page.tables
    assert all(row[4:7] == ["-", "-", "-"] for row in page.tables[MODEL_TABLE][1:])
    assert "errors" not in page.sections
    assert "honest" not in page.sections[""]  # nor among the numbers on top
    assert len(page.tables[SUBMISSION_TABLE]) == 4  # what was sent was sent


def test_a_partly_trained_model_is_told(lived: Workspace) -> None:
    write_model(lived, "third", 2.0)
    train_models(lived, ["third"], [1])
    page = without_figures(lived)
    assert page.row(MODEL_TABLE, "third")["folds"] == "1/3"
    assert "third is not in the figures: 1 of 3 folds trained." in page.sections["models"]


def test_nothing_trained(untouched: Workspace) -> None:
    page = without_figures(untouched)
    assert "No base model is trained on every fold yet" in page.sections["models"]
    assert "No stack is built yet" in page.sections["stack"]
    assert "Nothing was submitted yet" in page.sections["submissions"]
    assert page.row(MODEL_TABLE, "words")["state"] == "not trained"
    assert [row[0] for row in page.tables["Commands"][1:]] == ["compete folds"]
    assert len(page.scripts) == 1


def test_no_recipe_at_all(untouched: Workspace, tmp_path: Path) -> None:
    workspace = copied(untouched, tmp_path)
    for path in (*workspace.recipes.glob("*.toml"), *workspace.stack_recipes.glob("*.toml")):
        path.unlink()
    assert MODEL_TABLE not in without_figures(workspace).tables


def test_public_scores_alone_and_none_at_all(lived: Workspace) -> None:
    (lived.submissions / "ledger.sqlite").unlink()
    text = lived.declaration.read_text(encoding="utf-8")
    send(lived, ["words"])
    row = without_figures(lived).row(SUBMISSION_TABLE, "1")
    assert row["public"] != "-" and row["private"] == "-"
    assert row["private expected"] != "-"  # that is no secret
    (lived.submissions / "ledger.sqlite").unlink()
    lived.declaration.write_text(text.replace('solution = "solution.csv"\n', ""), encoding="utf-8")
    send(lived, ["words"])
    row = without_figures(lived).row(SUBMISSION_TABLE, "1")
    assert (row["state"], row["public"], row["private"]) == ("sent", "-", "-")


@pytest.mark.parametrize(
    ("metric", "sign"), [("log_loss", -1), ("roc_auc_macro", 1), ("f1_micro", 1), ("f1_samples", 1)]
)
def test_every_kind_of_metric_has_its_page(lived: Workspace, metric: str, sign: int) -> None:
    declare(lived, f'metric = "{metric}"')
    build_stacks(lived, ["logistic"])
    send(lived, ["logistic"])
    reveal(lived)
    opened = compete.open(lived.root)
    page = without_figures(lived)
    for shown in opened.ranked:
        row = page.row(SCORE_TABLE, shown.title.removeprefix("base model "))
        optimism = sign * (shown.score.naive - shown.score.honest)
        # What the naive score flatters by is above 0 where less is better too.
        assert float(row["optimism"]) == pytest.approx(optimism, abs=6e-5)
    if metric in ("log_loss", "roc_auc_macro"):
        assert page.tables["Labels of stack logistic, decided at 0.5"][0][-1] == "F1"
    else:
        thresholds = [row[5] for row in page.tables["Labels and thresholds of stack logistic"][1:]]
        assert all(cell == "-" for cell in thresholds) is (metric == "f1_samples")
    assert "scored by several metrics" in page.sections["submissions"]


def test_figures_of_an_earlier_report_go_and_other_files_stay(
    monkeypatch: pytest.MonkeyPatch, lived: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr("compete.reporting.page.report.png", lambda figure: b"png")
    monkeypatch.setattr("compete.reporting.page.report.svg", lambda figure, name: "<svg></svg>")
    folder = tmp_path_factory.mktemp("written")
    figures = folder / "figures"
    figures.mkdir()
    (figures / "mine.png").write_bytes(b"mine")
    write_report(compete.open(lived.root), folder)
    assert (figures / f"labels_{ODD_STACK}.svg").is_file()
    (lived.stack_recipes / f"{ODD_STACK}.toml").unlink()
    write_report(compete.open(lived.root), folder)
    left = {path.name for path in figures.iterdir()}
    assert f"labels_{ODD_STACK}.svg" not in left and f"labels_{ODD_STACK}.png" not in left
    assert {"mine.png", "labels_words.svg", "labels_logistic.png"} <= left


def test_the_same_workspace_gives_the_same_report(untouched: Workspace, tmp_path: Path) -> None:
    one, other = (write_report(compete.open(untouched.root), tmp_path / name).parent for name in ("one", "other"))
    for path in (one / "figures").iterdir():
        assert path.read_bytes() == (other / "figures" / path.name).read_bytes()

    def page(folder: Path) -> str:
        return re.sub(r"written \d{4}-\d\d-\d\d \d\d:\d\d UTC", "", (folder / "index.html").read_text(encoding="utf-8"))

    assert page(one) == page(other)


def test_a_report_changes_nothing_else_in_the_workspace(untouched: Workspace, tmp_path: Path) -> None:
    workspace = copied(untouched, tmp_path)
    before = {path: path.read_bytes() for path in workspace.root.rglob("*") if path.is_file()}
    written = compete.open(workspace.root).report().page
    assert written == workspace.root / "report" / "index.html"
    after = {path: path.read_bytes() for path in workspace.root.rglob("*") if path.is_file()}
    assert {path: content for path, content in after.items() if written.parent not in path.parents} == before


def test_progress_counts_every_figure(untouched: Workspace, tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []
    write_report(compete.open(untouched.root), tmp_path, lambda fraction, doing: seen.append((fraction, doing)))
    assert seen == [(0.0, "figure 1 of 2"), (0.5, "figure 2 of 2")]
