"""The published models as an example of a log: ten runs of the report that the shipped recipes come from.

Their scores, splits and thresholds stand in [published] of each recipe, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compete.base_models.recipes import Published, RecipeDeclaration
from compete.competition.starter import starter_folder
from compete.declarations import read_toml, validate
from compete.experiments.run_log import Log, Logged, Run

METRIC = "f1_macro"


@dataclass(frozen=True)
class PublishedModel:
    """A recipe's name and what was published of it."""

    name: str
    published: Published


def published_models(folder: Path | None = None) -> list[PublishedModel]:
    """The shipped recipes that were published with scores, in the order of the report.

    folder: that holds base_models/; default: where the shipped recipes lie.
    """
    found = []
    for path in sorted(((folder or starter_folder()) / "base_models").glob("*.toml")):
        declaration, _ = validate(RecipeDeclaration, read_toml(path))
        if declaration is not None and declaration.published is not None and declaration.published.model is not None:
            found.append(PublishedModel(path.stem, declaration.published))
    return sorted(found, key=lambda each: each.published.model or 0)


def example_log() -> Log:
    """The ten models as runs, in the order in which the report has them; when they were trained it does not say.

    Their validation scores stand as naive: the epoch, and of some the thresholds, were chosen on the rows scored.
    """
    return Log([Logged(_run(each), first=True) for each in published_models()])


def _run(model: PublishedModel) -> Run:
    told = model.published
    thresholds = "" if told.thresholds == "none" else f", thresholds {told.thresholds}"
    return Run(
        "published",
        "base model",
        model.name,
        metric=METRIC,
        naive=told.validation,
        public=told.kaggle_public,
        note=f"{told.split}{thresholds}",
    )
