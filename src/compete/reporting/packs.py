"""Packs for code competitions as DataFrames, and as what commands print with --json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # they need what takes long to import
    import pandas as pd

    from compete.code_competitions.manifest import Manifest
    from compete.code_competitions.notebook_rehearsal import Played
    from compete.code_competitions.prediction import PackPrediction

Record = dict[str, Any]


def pack_frame(manifest: Manifest) -> pd.DataFrame:
    """A row per member in the order of prediction, by name."""
    import pandas as pd

    rows = [
        {
            "name": member.name,
            "folds": member.folds,
            "precision": member.precision,
            "gain": member.gain,
            "seconds_per_row": member.seconds_per_row,
            "seconds_to_load": member.seconds_to_load,
            "bytes": manifest.bytes.get(f"weights/{member.name}", 0),
        }
        for member in manifest.members
    ]
    return pd.DataFrame(rows).set_index("name")


def steps_frame(manifest: Manifest) -> pd.DataFrame:
    """A row per step: the members that are done, what combines them, the honest score with its interval."""
    import pandas as pd

    rows = [
        {
            "members": ", ".join(step.members),
            "stack": step.stack,
            "honest": step.honest,
            "low": step.low,
            "high": step.high,
        }
        for step in manifest.steps
    ]
    return pd.DataFrame(rows)


def pack_record(folder: str, manifest: Manifest, seconds: float, download: str) -> Record:
    """`compete pack`. folder: of the pack; the manifest without its list of files."""
    told = manifest.model_dump(mode="json", exclude={"files", "sha256"})
    return {
        "folder": folder,
        "seconds": seconds,
        "pip_download": download or None,
        "files": len(manifest.files),
        **told,
    }


def pack_check_record(
    name: str, rows: int, largest: float, tolerated: float, other_cells: int, walls: str, problem: str
) -> Record:
    """`compete pack --check`."""
    return {
        "pack": name,
        "rows": rows,
        "largest_difference": largest,
        "tolerated": tolerated,
        "other_cells": other_cells,
        "no_network_by": walls,
        "problem": problem or None,
    }


def pack_prediction_record(found: PackPrediction) -> Record:
    """`compete predict --pack`."""
    return {
        "output": str(found.output),
        "rows": found.rows,
        "seconds": found.seconds,
        "members": list(found.step.members),
        "stack": found.step.stack,
        "expected": {"honest": found.step.honest, "low": found.step.low, "high": found.step.high},
        "left_out": {each.name: each.why_not for each in found.left_out},
        "notices": list(found.notices),
    }


def rehearsed_record(name: str, played: Sequence[Played], walls: str, memory: str) -> Record:
    """`compete rehearse --notebook`."""
    runs = [
        {
            "test": run.what, "rows": run.rows, "seconds": run.seconds, "peak_bytes": run.peak, "valid": run.ok,
            "problem": run.problem or None,
        }
        for run in played
    ]  # fmt: skip
    return {"pack": name, "no_network_by": walls, "memory_limit": memory, "runs": runs}
