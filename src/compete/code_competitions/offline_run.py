"""A pack in a fresh process without a network: `python -m compete.code_competitions.offline_run TASK.json`.

Run by `compete pack --check`: in a folder outside of the workspace, with none of its files but the pack.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import compete
from compete import atomic
from compete.code_competitions.no_network import behind_walls, forbid_network
from compete.environments import for_jobs, is_secret
from compete.errors import CompeteError, PackError
from compete.stored_json import read_json


@dataclass(frozen=True)
class OfflineRun:
    """What a fresh process predicted."""

    ids: list[str]
    probabilities: NDArray[np.float32]
    csv: bytes
    left_out: dict[str, str]
    """Members that have no part in it, with the reasons."""
    walls: str
    """What kept it from the network."""


class OfflineRunFailedError(CompeteError):
    """The fresh process ended with an error."""


def run_offline(pack: Path, test: list[Path], sample: Path | None) -> OfflineRun:
    """Predict some files from a pack in a process that has nothing else."""
    with atomic.scratch_folder() as folder:
        task = {
            "pack": str(pack.resolve()),
            "test": [str(path.resolve()) for path in test],
            "sample": None if sample is None else str(sample.resolve()),
        }
        atomic.write_json(folder / "task.json", task)
        module = ["-P", "-m", "compete.code_competitions.offline_run", "task.json"]
        command, walls = behind_walls([sys.executable, *module])
        ran = subprocess.run(
            command, cwd=folder, env=environment(), capture_output=True, text=True, errors="replace", check=False
        )
        if ran.returncode != 0:
            last = "\n".join(ran.stderr.strip().splitlines()[-5:])
            raise OfflineRunFailedError(f"the pack cannot predict in a fresh process:\n{last}")
        told = read_json(folder / "told.json")
        return OfflineRun(
            told["ids"], np.load(folder / "probabilities.npy"), (folder / "submission.csv").read_bytes(), told["left"],
            walls,
        )  # fmt: skip


def environment(first: list[Path] | None = None) -> dict[str, str]:
    """Of a process that is to run as on Kaggle: no secret, no hub, this compete.

    first: folders that Python looks for packages in, in place of where this compete lies.
    """
    kept = {name: value for name, value in for_jobs(os.environ).items() if not is_secret(name)}
    places = [str(path) for path in first or [Path(compete.__file__).parent.parent]]
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    return {**kept, **offline, "PYTHONPATH": os.pathsep.join(places)}


def main(task: Path) -> None:
    """What the fresh process does."""
    forbid_network()
    from compete.code_competitions.opened_pack import open_pack
    from compete.code_competitions.prediction import predict_pack
    from compete.execution.local import usable_cores

    told = read_json(task)
    with atomic.scratch_folder() as root:
        pack = open_pack(Path(told["pack"]), root)
        found = predict_pack(
            pack,
            [Path(path) for path in told["test"]],
            Path("submission.csv"),
            sample=Path(told["sample"]) if told["sample"] else None,
            budget=float("inf"),
            threads=usable_cores(),
            say=lambda sentence: print(sentence, file=sys.stderr),
        )
    np.save("probabilities.npy", found.probabilities)
    left = {each.name: each.why_not for each in found.left_out}
    Path("told.json").write_text(json.dumps({"ids": found.ids, "left": left}), encoding="utf-8")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except PackError as error:
        sys.exit(f"error: {error}")
