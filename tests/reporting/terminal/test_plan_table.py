from __future__ import annotations

import io

import pytest
from rich.console import Console

from compete.execution.devices import Device
from compete.planning.footprint import Anatomy, Footprint, Layer
from compete.planning.model_plan import Disk, ModelPlan, Verdict
from compete.reporting.terminal.plan_table import plan_table

GB = 10**9
MODELS = ["qwen2_5_14b_instruct", "llama_3_2_3b_instruct_as_published", "minilm"]
LAYER = Layer(1, 1, 1, 1, False, (), 1, True, 1, False, False, False)
SHAPE = Anatomy(14_770_000_000, 14_770_000_000, 0, 1, 1, 1, 1, LAYER, 0, 0, 1)
FOOTPRINT = Footprint(GB, 29 * GB, 3 * GB, 2 * GB, 4 * GB, GB, 12 * GB, GB, 0, 0)
PROCESSOR = Device("processor", "processor", 16 * GB, False)
GPUS = [Device(f"GPU {number} NVIDIA A100-SXM4-80GB", "gpu", 80 * GB, True) for number in (0, 1)]


def show(devices: list[Device], hours: dict[str, float | None]) -> list[str]:
    """The lines of the table in 80 columns."""
    plans = [
        ModelPlan(
            name,
            "some/one",
            shape=SHAPE,
            disk=Disk(29 * GB, 29 * GB, 1, 0, 9),
            verdicts=tuple(Verdict(device, FOOTPRINT, fits=False) for device in devices),
        )
        for name in MODELS
    ]
    out = io.StringIO()
    Console(file=out, width=80, highlight=False).print(plan_table(plans, hours))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in out.getvalue()
    return lines


def numbers(line: str) -> list[str]:
    return [cell for cell in line.split() if cell.replace(".", "").isdigit()]


@pytest.mark.parametrize("hours", [{}, dict.fromkeys(MODELS, 125.34)])
def test_one_device_has_a_row_per_model_and_every_number_is_whole(hours: dict[str, float | None]) -> None:
    rows = [line for line in show([PROCESSOR], hours) if "14.8 B" in line]
    assert len(rows) == 3
    for row in rows:
        assert numbers(row) == ["14.8", "29.0", "29.0", "7.00", "15.0", "52.0", *(["125.3"] if hours else [])]


@pytest.mark.parametrize("hours", [{}, dict.fromkeys(MODELS, 125.34)])
def test_devices_have_rows_under_their_model(hours: dict[str, float | None]) -> None:
    lines = show([PROCESSOR, *GPUS], hours)
    models = [line for line in lines if "14.8 B" in line]
    assert [numbers(line) for line in models] == [["14.8", "29.0", *(["125.3"] if hours else [])]] * 3
    for device in ("  processor ", "  GPU 0, 1 "):
        rows = [line for line in lines if line.startswith(device)]
        assert [numbers(line.removeprefix(device)) for line in rows] == [["29.0", "7.00", "15.0", "52.0"]] * 3


def test_without_any_estimate_there_is_no_column_of_hours() -> None:
    assert not any("hours" in line for line in show([PROCESSOR], dict.fromkeys(MODELS)))
