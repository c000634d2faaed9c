"""A notebook that trains jobs in a session on Kaggle: `compete jobs run` for every job that lies in its dataset.

It looks for the jobs wherever Kaggle mounts them, starts none that would not end in time, and leaves the results in
/kaggle/working, which is its output.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import compete
from compete import atomic
from compete.competition.names import is_name
from compete.oof.job_archives import JOB
from compete.oof.job_results import RESULT

WORKING = "/kaggle/working"  # what Kaggle keeps of a session
INPUT = "/kaggle/input"  # where datasets are mounted, each below its name

_INTRODUCTION = """\
# Training of {what}

{count} job{s} of compete {version}, one per model and fold, from the dataset beside
this notebook. Each leaves a result in `{working}`; no job is started that would not have ended after {hours:g} hours.
Back home: `compete jobs collect --kaggle OWNER/NOTEBOOK`.
"""

_FIND = """\
from pathlib import Path

INPUT, WORKING = Path("{input}"), Path("{working}")
SECONDS = {seconds}  # after which no job runs any more
JOBS = sorted(INPUT.rglob("*{job}"))
WHEELS = sorted({{wheel.parent for wheel in INPUT.rglob("compete-{version}-*.whl")}})
print(f"{{len(JOBS)}} jobs: {{', '.join(job.stem for job in JOBS)}}")
assert JOBS, f"no job (*{job}) below {{INPUT}}: add the dataset with the jobs to this notebook (Add input)"
"""

_INSTALL = """\
import subprocess
import sys

# The wheel of just this version lies beside the jobs; what it needs and Kaggle's image lacks comes from the network.
where = [option for folder in WHEELS for option in ("--find-links", str(folder))]
subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *where, "compete=={version}"], check=True)
"""

_TRAIN = """\
import signal
import subprocess
import time

began, longest, failed = time.monotonic(), 0.0, []
for job in JOBS:
    if (WORKING / f"{{job.stem}}{result}").exists():
        continue
    left = SECONDS - (time.monotonic() - began)
    if left <= 1.1 * longest:  # a fold takes as long as the longest before it, and some
        print(f"{{job.stem}}: left for another session, {{left / 60:.0f}} minutes would not do")
        continue
    start = time.monotonic()
    running = subprocess.Popen(["compete", "jobs", "run", str(job), "--out", str(WORKING)])
    try:
        code = running.wait(timeout=left)
    except subprocess.TimeoutExpired:
        running.send_signal(signal.SIGINT)
        try:
            code = running.wait(timeout=60)
        except subprocess.TimeoutExpired:
            running.kill()
            code = running.wait()
        print(f"{{job.stem}}: stopped, its time is over")
    longest = max(longest, time.monotonic() - start)
    if code:
        failed.append(job.stem)
    print(f"{{job.stem}}: exit code {{code}} after {{(time.monotonic() - start) / 60:.1f}} minutes", flush=True)
"""

_TELL = """\
results = sorted(path.name for path in WORKING.glob("*{result}"))
print(f"{{len(results)}} of {{len(JOBS)}} jobs have a result here: {{', '.join(results)}}")
if failed:
    print(f"failed, or stopped: {{', '.join(failed)}}; the log of what failed is in its result")
"""


def write_training_notebook(path: Path, names: Sequence[str], count: int, seconds: float) -> None:
    """Write the notebook.

    names: of the models, for its first lines; count: of the jobs; seconds: after which no job runs any more.
    """
    import nbformat

    v4: Any = nbformat.v4
    version = compete.__version__
    told = {
        "what": ", ".join(name for name in names if is_name(name)),
        "count": count,
        "s": "s" * (count != 1),
        "version": version,
        "working": WORKING,
        "input": INPUT,
        "hours": round(seconds / 3600, 2),
        "seconds": round(seconds),
        "job": JOB,
        "result": RESULT,
    }
    cells = [
        v4.new_markdown_cell(_INTRODUCTION.format(**told)),
        *(v4.new_code_cell(text.format(**told).rstrip("\n")) for text in (_FIND, _INSTALL, _TRAIN, _TELL)),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # chance ids would make another notebook of the same content
    notebook = v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.validate(notebook)
    atomic.write_text(path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
