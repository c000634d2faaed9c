"""What holds on a GPU, by `benchmarks/gpu.py`; skipped where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")]


@pytest.mark.parametrize("architecture", ["gemma2", "llama", "qwen2", "stella"])
def test_everything_that_the_benchmark_checks_holds(tmp_path: Path, architecture: str) -> None:
    out = tmp_path / "gpu.json"
    script = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--layers", "2", "--rows", "64"]
    ran = subprocess.run([*script, "--only", architecture, "--out", str(out)], check=False, timeout=600)
    failed = [result for result in json.loads(out.read_text(encoding="utf-8"))["results"] if not result["ok"]]
    assert failed == [] and ran.returncode == 0
