from __future__ import annotations

import io

import pytest
from rich.console import Console

from compete.execution.devices import Device
from compete.planning.footprint import Anatomy, Footprint, Layer
from compete.planning.model_plan import Disk, Estimate, Machine, ModelPlan, Verdict
from compete.planning.probe import Probed
from compete.planning.schedule import Schedule, Work
from compete.reporting.terminal.plan_table import hours_lines, plan_table

GB = 10**9
MODELS = ["qwen2_5_14b_instruct", "llama_3_2_3b_instruct_as_published", "minilm"]
LAYER = Layer(1, 1, 1, 1, False, (), 1, True, 1, False, False, False)
SHAPE = Anatomy(14_770_000_000, 14_770_000_000, 0, 1, 1, 1, 1, LAYER, 0, 0, 1)
FOOTPRINT = Footprint(GB, 29 * GB, 3 * GB, 2 * GB, 4 * GB, GB, 12 * GB, GB, 0, 0)
PROCESSOR = Device("processor", "processor", 16 * GB, False)
GPUS = [Device(f"GPU {number} NVIDIA A100-SXM4-80GB", "gpu", 80 * GB, True) for number in (0, 1)]


def show(
    devices: list[Device],
    hours: dict[str, float | None],
    estimate: Estimate | None = None,
    session: float | None = None,
) -> list[str]:
    """The lines of the table in 80 columns. estimate: of every GPU."""
    plans = [
        ModelPlan(
            name,
            "some/one",
            shape=SHAPE,
            disk=Disk(29 * GB, 29 * GB, 1, 0, 9),
            verdicts=tuple(
                Verdict(device, FOOTPRINT, fits=False, estimate=estimate if device.kind == "gpu" else None)
                for device in devices
            ),
        )
        for name in MODELS
    ]
    out = io.StringIO()
    Console(file=out, width=80, highlight=False).print(
        plan_table(plans, {name: Probed(hours=each, sessions=11) for name, each in hours.items()}, session)
    )
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


ESTIMATE = Estimate(Work(28.7, folds=5), gpus=1, schedule=Schedule(143.5, 5))


def test_estimates_have_a_tilde_and_sessions_only_if_they_were_asked_for() -> None:
    rows = [line for line in show(GPUS[:1], {}, ESTIMATE, 30) if "14.8 B" in line]
    assert [row.split()[-4:-2] for row in rows] == [["~140", "5"]] * 3  # the verdict is folded
    lines = show([PROCESSOR, *GPUS], {}, ESTIMATE, 30)
    for device, told in (("  process", ["-", "-"]), ("  GPU 0,", ["~140", "5"])):  # names are folded too
        rows = [line.removeprefix(device) for line in lines if line.startswith(device)]
        assert [row.split()[4:6] for row in rows] == [told] * 3
    assert not any("sions" in line for line in show(GPUS, {}, ESTIMATE))
    assert not any("sions" in line for line in show([PROCESSOR], {}, None, 30))


def test_a_probe_counts_before_an_estimate() -> None:
    rows = [line for line in show(GPUS, dict.fromkeys(MODELS, 125.34), ESTIMATE, 30) if "14.8 B" in line]
    assert [row.split()[-4:-2] for row in rows] == [["125.3", "11"]] * 3


def lines_of(session: float | None, probed: dict[str, Probed], estimate: Estimate | None) -> str:
    plans = [ModelPlan("minilm", verdicts=(Verdict(GPUS[0], FOOTPRINT, fits=True, estimate=estimate),))]
    together = None if estimate is None else estimate.schedule
    return "\n".join(hours_lines(plans, Machine(GPUS[:1], 1, 5, session=session), probed, together, ["large"]))


def test_what_the_hours_are_is_said_below() -> None:
    assert lines_of(None, {}, None) == ""
    assert "no hours are known here" in lines_of(12, {}, None)
    said = lines_of(30, {}, ESTIMATE)
    assert "These three are assumptions: no GPU was measured." in said
    assert said.endswith("all models with an estimate without large: ~140 hours, 5 sessions of 30 hours")
    long = "minilm: a fold takes ~29 hours, longer than a session of 12"
    assert long in lines_of(12, {}, ESTIMATE)
    assert long not in said
    measured = {"minilm": Probed(hours=143.5, sessions=None, longest=28.7)}
    assert lines_of(12, measured, None).startswith("minilm: a fold takes 28.7 hours, longer than a session of 12")
    assert lines_of(None, measured, None) == lines_of(30, measured, None) == ""
