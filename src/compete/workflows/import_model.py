"""Make a base model of probabilities that were computed elsewhere, after checking them."""

from __future__ import annotations

from pathlib import Path

from compete.competition.workspace import Workspace
from compete.experiments.run_log import Run, note_runs
from compete.oof import imported
from compete.oof.fold_plan import with_plan
from compete.oof.imported import ImportedFile
from compete.workflows.session import Say, exclusively, load, silent
from compete.workflows.status import Status, status


def import_model(
    workspace: Workspace,
    name: str,
    oof: Path,
    test: Path,
    *,
    oof_ids: Path | None = None,
    test_ids: Path | None = None,
    seen: Path | None = None,
    force: bool = False,
    say: Say = silent,
) -> Status:
    """oof, test: CSV, TSV, parquet or npy; the last needs a file with the ids of its rows. seen: JSON with what every
    fold's model has seen (`imported.read_seen`). force: replace an import."""
    with exclusively(workspace, say):
        planned = with_plan(load(workspace, say))
        files = ImportedFile(oof, oof_ids), ImportedFile(test, test_ids)
        for warning in imported.import_model(planned, name, *files, force, seen):
            say(f"warning: {warning}")
        say(
            "Whether these rows were predicted by models that never saw them cannot be checked from outside. "
            f"Whoever trained them should have used {workspace.shown(workspace.fold_plan)}."
        )
        found = status(workspace, [name])
        record = found.states[name].whole.record
        run = Run("import", "base model", name, identity=dict(record.get("identity", {})))
        note_runs(workspace, [run.scored(found.scores.get(name))], say)
        return found
