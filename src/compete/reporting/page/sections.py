"""What stands in the report, section by section: sentences, tables, figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from compete.competition.workspace import Kind
from compete.experiments.run_log import road
from compete.oof.guards import warning_lines
from compete.reporting.durations import time_text
from compete.reporting.figures.catalogue import Catalogue
from compete.reporting.figures.score_rows import score_rows
from compete.reporting.page.provenance import provenance
from compete.reporting.terminal.log_tables import changes_text
from compete.reporting.terminal.tables import state_text
from compete.reporting.view import View
from compete.score_text import range_text, score_text
from compete.submissions.leaderboard.interpretation import read_scores
from compete.submissions.ledger import UNKNOWN, Entry


@dataclass(frozen=True)
class PageTable:
    """A table of the page."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers_from: int = 1
    """Columns from this one on hold numbers, right-aligned."""
    bold: int | None = None
    """Index of one row."""


@dataclass(frozen=True)
class PageFigure:
    name: str
    title: str
    caption: str
    svg: Markup


@dataclass
class PageSection:
    """A section of the page."""

    name: str
    title: str
    notes: list[str] = field(default_factory=list)
    """Sentences."""
    tables: list[PageTable] = field(default_factory=list)
    figures: list[PageFigure] = field(default_factory=list)
    closed: list[PageFigure] = field(default_factory=list)
    """Figures that are shown when the reader opens them."""
    missing: list[tuple[str, str]] = field(default_factory=list)
    """Figures that could not be drawn: title, and why."""


def facts(view: View) -> list[tuple[str, str]]:
    """The few numbers that stand on top."""
    chosen, competition = view.chosen, view.competition
    facts = []
    if chosen:
        score = chosen.score
        facts.append((f"honest {competition.metric.title}, {chosen.title}", score_text(score.honest)))
        facts.append(("its 95 % interval", range_text(score.low, score.high)))
    facts.append(("base models", str(len(view.base_models))))
    facts.append(("submissions", str(sum(entry.counted for entry in view.entries))))
    return facts


def sections_of(view: View, found: Catalogue, drawings: dict[str, PageFigure]) -> list[PageSection]:
    sections = [
        _data_section(view),
        _model_section(view),
        PageSection("labels", f"The {_nouns(view)}, one by one"),
        _stack_section(view),
        _submission_section(view),
        _experiments_section(view),
    ]
    by_name = {section.name: section for section in sections}
    chosen = f"labels_{view.chosen.name}" if view.chosen else ""
    for picture in found.pictures:
        closed = picture.section == "labels" and picture.name not in ("label_f1", "target_scores", chosen)
        section = by_name[picture.section]
        (section.closed if closed else section.figures).append(drawings[picture.name])
    for missing in found.missing:
        by_name[missing.section].missing.append((missing.title, missing.why))
    return [*sections, _made_section(view)]


def _data_section(view: View) -> PageSection:
    c = view.competition
    repeated = len(c.train_ids) - int(c.alike.max()) - 1
    rows = [
        ("training rows", f"{len(c.train_ids):,}"),
        ("test rows", f"{len(c.test_ids):,}"),
        *_of_outputs(view),
        ("training rows that nearly repeat another", f"{repeated:,}"),
        ("folds", str(c.declaration.folds.k)),
        ("metric", c.metric.title),
    ]
    section = PageSection("data", "The competition and its data", tables=[PageTable("Rows", ("", ""), rows)])
    if not c.task.gives_probabilities:
        section.tables.append(_target_ranges(view))
    section.notes += list(c.warnings)
    section.notes += [
        f"The competition was edited after the fold plan was made: {change}." for change in view.survey.plan_changes
    ]
    return section


def _nouns(view: View) -> str:
    noun = view.competition.task.noun
    return "classes" if noun == "class" else f"{noun}s"


def _of_outputs(view: View) -> list[tuple[str, str]]:
    """Lines on what is predicted."""
    c = view.competition
    count = (_nouns(view), str(len(c.labels)))
    if c.task.name == "multilabel":
        per_row = c.train_targets.sum(axis=1)
        none = int((per_row == 0).sum())
        return [
            count,
            ("labels per training row", f"{per_row.mean():.2f}"),
            ("training rows without any label", f"{none:,}"),
        ]
    if c.task.name == "binary":
        positive = int(c.train_targets.sum())
        return [(f"training rows with {c.labels[0]}", f"{positive:,} ({100 * positive / len(c.train_ids):.1f} %)")]
    if c.task.kind == "classes":
        rows = c.train_targets.sum(axis=0)
        ends = [("largest class", int(rows.argmax())), ("smallest class", int(rows.argmin()))]
        return [count, *((what, f"{c.labels[place]}, {int(rows[place]):,} training rows") for what, place in ends)]
    return [count, *([("grades", ", ".join(f"{grade:g}" for grade in c.task.grades))] if c.task.grades else [])]


def _target_ranges(view: View) -> PageTable:
    """Where the numbers or grades of the training rows lie."""
    targets = view.competition.train_targets.astype("float64")
    rows = []
    for name, column in zip(view.labels, targets.T, strict=True):
        numbers = (column.mean(), column.std(), column.min(), column.max())
        rows.append([name, *(score_text(float(number)) for number in numbers)])
    return PageTable("Targets in train", ("target", "mean", "standard deviation", "lowest", "highest"), rows)


def _model_section(view: View) -> PageSection:
    section = PageSection("models", "The base models")
    rows = []
    for name, state in view.survey.states.items():
        shown = view.base_models.get(name)
        score = shown.score if shown else None
        family = view.survey.families.get(name, state.kind)
        numbers = (
            [score_text(score.honest), range_text(score.low, score.high), score_text(score.naive)] if score else []
        )
        folds = f"{state.folds_done}/{len(state.parts)}"
        rows.append([name, family, state_text(state), folds, *(numbers or ["-", "-", "-"]), time_text(state.seconds)])
    columns = ("model", "family", "state", "folds", "honest", "95 % interval", "naive", "training")
    if rows:
        section.tables.append(PageTable("Every base model", columns, rows, numbers_from=3))
    if not view.base_models:
        section.notes.append("No base model is trained on every fold yet: `compete train-base --all` does it.")
    section.notes += _left_out(view, "base model")
    for name in view.base_models:
        state = view.survey.states[name]
        section.notes += [f"{name}: {line}." for line in warning_lines(state.warnings, len(state.parts))]
    return section


def _left_out(view: View, kind: Kind) -> list[str]:
    """What of this kind is not shown though it was made."""
    return [
        f"{name} is not in the figures: {view.left_out[name].removesuffix('.')}."
        for name, missing in view.missing.items()
        if missing.kind == kind and missing.reason.is_news
    ]


def _stack_section(view: View) -> PageSection:
    section = PageSection("stack", "The stack")
    rows = score_rows(view)
    if not view.stacked:
        section.notes.append("No stack is built yet, or none that is up to date: `compete stack` builds them.")
    section.notes += _left_out(view, "stack")
    chosen, sign = view.chosen, view.competition.metric.sign
    if rows and chosen:
        cells = [
            [
                f"stack {row.name}" if row.is_stack else row.name,
                score_text(row.honest),
                range_text(*row.interval),
                score_text(row.naive),
                score_text(sign * (row.naive - row.honest), row.honest, sign=True),
            ]
            for row in rows
        ]
        bold = next(number for number, row in enumerate(rows) if row.name == chosen.name)
        columns = (view.competition.metric.title, "honest", "95 % interval", "naive", "optimism")
        section.tables.append(PageTable("Honest and naive score", columns, cells, bold=bold))
        section.tables += _output_tables(view)
    return section


def _output_tables(view: View) -> list[PageTable]:
    """Labels, classes or targets of the chosen stack one by one, and what decides them."""
    kind = view.competition.task.kind
    if kind == "labels":
        return [_threshold_table(view)]
    return [_class_table(view)] if kind == "classes" else _target_tables(view)


def _class_table(view: View) -> PageTable:
    chosen = view.chosen
    assert chosen is not None
    rates, offsets = view.competition.label_rates, chosen.score.decision["offsets"]
    columns = ["class", "rate", "precision", "recall", "F1"]
    rows = [
        [name, *(f"{value:.3f}" for value in (rates[name], label.precision, label.recall, label.f1))]
        for name, label in chosen.score.labels.items()
    ]
    if not any(offsets):
        return PageTable(f"Classes of {chosen.title}, the most probable one taken", columns, rows)
    for row, offset, label in zip(rows, offsets, chosen.score.labels.values(), strict=True):
        row += [f"{offset:+.3f}", f"{label.gain:+.3f} ({label.gain_low:+.3f}, {label.gain_high:+.3f})"]
    return PageTable(f"Classes and offsets of {chosen.title}", [*columns, "offset", "F1 more than without"], rows)


def _target_tables(view: View) -> list[PageTable]:
    chosen = view.chosen
    assert chosen is not None
    score = chosen.score
    decided = any(target.right is not None for target in score.targets.values())
    rows = []
    for name, target in score.targets.items():
        row = [name, score_text(target.rmse), score_text(target.mae), f"{target.pearson:.4f}"]
        row += [
            score_text(target.bias, target.rmse, sign=True),
            *([f"{100 * (target.right or 0):.1f} %"] if decided else []),
        ]
        rows.append(row)
    columns = ["target", "RMSE", "MAE", "Pearson", "bias", *(["right grade"] if decided else [])]
    tables = [PageTable(f"Targets of {chosen.title}", columns, rows)]
    if "cuts" in score.decision:
        grades = [f"{grade:g}" for grade in score.decision["grades"][1:]]
        of_targets = zip(score.targets, score.decision["cuts"], strict=True)
        cuts = [[name, *(score_text(cut, max(map(abs, row))) for cut in row)] for name, row in of_targets]
        tables.append(PageTable(f"From which number on a grade is given: {chosen.title}", ["target", *grades], cuts))
    return tables


def _threshold_table(view: View) -> PageTable:
    chosen = view.chosen
    assert chosen is not None
    rates = view.competition.label_rates
    rows = []
    for name, label in chosen.score.labels.items():
        numbers = [f"{value:.3f}" for value in (rates[name], label.precision, label.recall, label.f1)]
        cut = "-" if label.threshold is None else f"{label.threshold:.3f} ± {label.threshold_spread or 0:.3f}"
        gain = f"{label.gain:+.3f} ({label.gain_low:+.3f}, {label.gain_high:+.3f})"
        rows.append([name, *numbers, cut, gain])
    columns = ["label", "rate", "precision", "recall", "F1", "threshold", "F1 more than at 0.5"]
    if not view.competition.metric.decides:  # probabilities are scored: 0.5 is no choice of anybody's
        columns, rows = columns[:5], [row[:5] for row in rows]
        return PageTable(f"Labels of {chosen.title}, decided at 0.5", columns, rows)
    return PageTable(f"Labels and thresholds of {chosen.title}", columns, rows)


def _submission_section(view: View) -> PageSection:
    section = PageSection("submissions", "The submissions")
    if not view.entries:
        section.notes.append("Nothing was submitted yet: `compete submit` sends the chosen stack.")
        return section
    columns = (
        "no.",
        "sent (UTC)",
        "what",
        "state",
        "validation",
        "public expected",
        "public",
        "private expected",
        "private",
    )
    rows = [_submission_row(entry) for entry in view.entries]
    section.tables.append(PageTable("Every submission", columns, rows, numbers_from=4))
    section.notes += [f"{sentence}." for sentence in read_scores(view.entries, view.competition.metric.sign)]
    return section


def _submission_row(entry: Entry) -> list[str]:
    sent, came = entry.submission, entry.outcome
    return [
        str(entry.number),
        "-" if entry.created == UNKNOWN else f"{entry.created:%Y-%m-%d %H:%M}",
        sent.source,
        came.status,
        score_text(sent.validation),
        range_text(sent.public_low, sent.public_high),
        score_text(came.public),
        range_text(sent.private_low, sent.private_high),
        score_text(came.private),
    ]


def _experiments_section(view: View) -> PageSection:
    section = PageSection("experiments", "What moved the score")
    log = view.log_of_runs
    section.notes += [f"The log: {sentence}." for sentence in log.damaged]
    better = [
        step for step in road(log.runs, view.competition.metric.sign, view.competition.metric.name) if step.is_better
    ]
    if better:
        rows = [
            [
                step.logged.run.when[:16].replace("T", " "),
                step.logged.run.command,
                step.logged.run.name,
                score_text(step.score),
                score_text(step.gained, step.score, sign=True),
                changes_text(step.logged),
            ]
            for step in better
        ]
        columns = ("when (UTC)", "command", "what", "honest", "more than the best before", "what changed")
        section.tables.append(PageTable("Runs that beat all before them", columns, rows, numbers_from=6))
    return section


def _made_section(view: View) -> PageSection:
    made = provenance(view)
    section = PageSection("made", "How it was made")
    commands = [[command] for command in made.commands]
    section.tables.append(PageTable("Commands", ("commands that make it again",), commands))
    for title, of, what, values in (
        ("Versions", "library", "version", made.versions),
        ("Seeds", "of", "seed", made.seeds),
        ("Fingerprints", "of", "hash", made.fingerprints),
    ):
        if values:
            section.tables.append(PageTable(title, (of, what), list(values.items()), numbers_from=2))
    if made.machines:
        section.notes.append(f"Trained on: {'; '.join(made.machines)}. Training took {time_text(made.seconds)} in all.")
    return section
