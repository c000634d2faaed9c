"""What `compete plan` prints: a table in GB, and a few sentences per model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from compete.planning.cards import FOUR_BIT_UTILISATION, LAUNCH, UTILISATION
from compete.planning.model_plan import Downloads, Estimate, Machine, ModelPlan, Verdict
from compete.planning.probe import Probed
from compete.planning.schedule import Schedule
from compete.reporting.terminal.plain_table import PlainTable

CAPTION = (
    "GB are 10^9 bytes. training: gradients, optimiser, the best epoch's copy. activations: of the longest rows, "
    "with what is copied for them."
)


def plan_table(plans: Sequence[ModelPlan], probed: Mapping[str, Probed], session: float | None = None) -> Table:
    """A row per model, or under it one per device; sizes in GB. probed: by model; empty: nothing was.

    session: hours; None: sessions are not counted.
    """
    several = any(len(_by_device(plan.verdicts)) > 1 for plan in plans)
    known = any(each.hours for each in probed.values())
    known = known or any(verdict.estimate for plan in plans for verdict in plan.verdicts)
    timed = ["hours", "ses-\nsions"][: 0 if not known else 1 if session is None else 2]
    titles = ["params", "down-\nload", "weights", "train-\ning", "activ.", "peak", *timed]
    table = PlainTable("model", numbers=titles, caption=CAPTION, caption_justify="left")
    table.add_column("verdict", overflow="fold")
    for plan in plans:
        found = _by_device(plan.verdicts)
        measured = probed.get(plan.name, Probed())
        if several and found:
            told = ["", ""] if measured.hours is None else _time(None, measured)
            table.add_row(escape(plan.name), *_of_model(plan), *[""] * 4, *told[: len(timed)])
        for device, verdict in found:
            told = _time(verdict.estimate, Probed() if several else measured)[: len(timed)]
            if several:
                cells = [f"  {escape(device)}", "", "", *_of_device(verdict), *told]
            else:
                cells = [escape(plan.name), *_of_model(plan), *_of_device(verdict), *told]
            table.add_row(*cells, _coloured(verdict))
    return table


def _time(estimate: Estimate | None, probed: Probed) -> list[str]:
    """Hours, probed or with a tilde, and sessions."""
    if probed.hours is not None:
        return [shown_hours(probed.hours), str(probed.sessions or "-")]
    if estimate is None:
        return ["-", "-"]
    return [about_hours(estimate.schedule.hours), str(estimate.schedule.sessions or "-")]


def machine_lines(machine: Machine) -> Iterator[str]:
    """The devices that were found, or asked for."""
    if machine.absent:
        yield f"for {machine.asked}, which is not this machine: nothing of it was looked at, and nothing measured on it"
    elif machine.asked:
        yield "for the processor of this machine alone"
    for device in machine.devices:
        if device.unsupported:
            yield f"{device.name}: {gb(device.memory)} GB of memory, cannot compute: {device.unsupported}"
            continue
        precision = "bfloat16" if device.bfloat16 else "float16" if device.kind == "gpu" else "float32"
        at_once = f", {machine.workers} jobs at once" if device.kind == "processor" else ""
        memory = "RAM" if device.kind == "processor" else "memory"
        yield f"{device.name}: {gb(device.memory)} GB of {memory}, trains in {precision}{at_once}"
    if not machine.asked and all(device.kind == "processor" for device in machine.devices):
        yield "no GPU was found"


def model_lines(plan: ModelPlan, note: str = "") -> Iterator[str]:
    """What a table cannot say of one model; note: what a probe found or why there was none."""
    if plan.aside:
        checkpoint = f" ({plan.checkpoint})" if plan.checkpoint and plan.checkpoint not in plan.aside else ""
        yield f"{plan.name}{checkpoint}: {plan.aside}"
        return
    yield f"{plan.name} ({plan.checkpoint}): {_training(plan)}"
    devices = _by_device(plan.verdicts)
    for device, verdict in devices:
        named = "" if len(devices) == 1 else f"{device}: "
        yield f"  {named}{verdict_text(verdict, plan)}"
        if verdict.room_for:
            yield f"  {named}{_room(verdict)}"
    yield f"  {_disk(plan)}"
    for notice in (*plan.notices, *([note] if note else [])):
        yield f"  {notice}"


def verdict_text(verdict: Verdict, plan: ModelPlan) -> str:
    """The sentence on one model and one device."""
    if verdict.refused:
        return verdict.refused
    spread = f" over {verdict.gpus} GPUs" if verdict.gpus > 1 else ""
    if not verdict.possible:
        needs = f"needs {gb(verdict.needed)} GB, {_largest(verdict, plan)}"
        return f"does not fit: {needs}{_on_cards(plan.cards)}"
    workers = f"--workers {verdict.at_once}" if verdict.fewer else ""
    if verdict.fits:
        return f"fits{spread}" + (f" with {workers}" if workers else "")
    return f"fits{spread} with: {_settings(verdict.changes)}" + (f", and {workers}" if workers else "")


def _room(verdict: Verdict) -> str:
    """What could take more memory, and the hours that it is estimated to save."""
    changes, more, now = _settings(verdict.room_for), verdict.roomier, verdict.estimate
    text = f"there is room for {changes}"
    if more is None or now is None or about_hours(more.schedule.hours) == about_hours(now.schedule.hours):
        return text
    return f"{text}: {about_hours(more.schedule.hours)} hours in place of {about_hours(now.schedule.hours)}"


def _settings(changes: Mapping[str, object]) -> str:
    return ", ".join(f"{key} = {_toml(value)}" for key, value in changes.items())


def _largest(verdict: Verdict, plan: ModelPlan) -> str:
    """What the device has, or the largest of its kind."""
    kind = verdict.device.kind
    alike = [other.device.memory for other in plan.verdicts if other.device.kind == kind]
    if len(alike) == len(plan.verdicts):
        return f"the largest device has {gb(max(alike))} GB"
    return f"{'the largest GPU' if kind == 'gpu' else 'the processor'} has {gb(max(alike))} GB"


def _by_device(verdicts: Sequence[Verdict]) -> list[tuple[str, Verdict]]:
    """One verdict for the processor and for every kind of GPU, with a name: "GPU 0, 1" for two that are alike."""
    groups: dict[tuple[str, int, bool], list[Verdict]] = {}
    for verdict in verdicts:
        device = verdict.device
        groups.setdefault((device.kind, device.memory, device.bfloat16), []).append(verdict)
    found = []
    for group in groups.values():
        first = short_name(group[0].device.name)
        others = [short_name(verdict.device.name).removeprefix("GPU ") for verdict in group[1:]]
        found.append((", ".join([first, *others]), group[0]))
    return found


def _on_cards(cards: Mapping[int, int]) -> str:
    """How many GPUs it would take: of every size up to the first that is enough alone."""
    alone = min((card for card, count in cards.items() if count == 1), default=None)
    listed = [f"{count} of {card} GB" for card, count in cards.items() if alone is None or card <= alone]
    if not listed:
        return ""
    spread = " (several: with model_parallel = true)" if len(listed) > 1 or alone is None else ""
    return f"; of GPUs it would take {' or '.join(listed)}{spread}"


def short_name(device: str) -> str:
    """ "GPU 0" of "GPU 0 NVIDIA A100-SXM4-80GB"."""
    return " ".join(device.split()[:2]) if device.startswith("GPU ") else device


def gb(size: float) -> str:
    """Bytes in 10^9, with three digits that count: "0.091", "2.61", "145"."""
    value = size / 1e9
    # It would be shown as 0.000.
    if size and value < 0.0005:
        return "<0.001"
    if value < 1:
        return f"{value:.3f}" if size else "0"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def probe_line(probed: Probed, folds: int) -> str:
    """What a probe measured of a model, or why there was none."""
    found = probed.found
    if found is None or probed.hours is None:
        return probed.why
    per_row = (
        f"{1000 * found.predicted_row:.0f} ms per row read, once for all folds, {1000 * found.trained_row:.1f} ms per "
        "row for the head"
        if found.once
        else f"{1000 * found.trained_row:.0f} ms per row trained, {1000 * found.predicted_row:.0f} ms per row predicted"
    )
    return (
        f"probed: {per_row}, peak {gb(found.peak)} GB; {folds} folds, {probed.at_once} at once: about "
        f"{shown_hours(probed.hours)} hours"
    )


def hours_lines(
    plans: Sequence[ModelPlan],
    machine: Machine,
    probed: Mapping[str, Probed],
    together: Schedule | None,
    left_out: Sequence[str] = (),
) -> Iterator[str]:
    """What the hours are reckoned from; all models together, but for those left out; folds that no session ends."""
    session = machine.session
    found = {plan.name: verdict.estimate for plan in plans for verdict in plan.verdicts if verdict.estimate is not None}
    measured = {name: each for name, each in probed.items() if each.hours is not None}
    if found:
        yield (
            f"Hours with a tilde are estimates: operations over {UTILISATION:.0%} of the peak on the card's data sheet "
            f"({FOUR_BIT_UTILISATION:.0%} with weights in 4 bits), and {LAUNCH * 1000:g} ms at least per layer. "
            "These three are assumptions: no GPU was measured."
        )
    elif session is not None and not measured:
        yield "--session: no hours are known here, so no sessions are counted; on a processor `--probe` measures them"
    if together is not None:
        without = f" without {', '.join(left_out)}" if left_out else ""
        counted = _sessions(together.sessions, session) if session is not None else ""
        yield f"all models with an estimate{without}: {about_hours(together.hours)} hours{counted}"
    longest = {name: (estimate.work.longest, "~") for name, estimate in found.items()}
    longest |= {name: (each.longest, "") for name, each in measured.items()}
    for name, (fold, about) in longest.items():
        if session is not None and fold > session:
            yield (
                f"{name}: a fold takes {about_hours(fold) if about else shown_hours(fold)} hours, longer than a "
                f"session of {session:g}: it has to go on from within a fold, or on a faster card"
            )


def _sessions(count: int | None, hours: float) -> str:
    if count is None:
        return f"; a fold is longer than a session of {hours:g} hours"
    return f", {count} {'session' if count == 1 else 'sessions'} of {hours:g} hours"


def download_line(found: Downloads, machine: Machine) -> str:
    """What all models download together, and whether there is room for it."""
    if machine.absent:
        return f"all downloads: {gb(found.size)} GB"
    room = "free there" if found.size <= found.free else "free there: not enough for all of them"
    return f"all downloads: {gb(found.size)} GB into {found.folder}, {gb(found.free)} GB {room}"


def shown_hours(hours: float) -> str:
    # From there on, two digits would begin to show 0.10.
    return f"{hours:.1f}" if hours >= 0.095 else f"{hours:.2f}"


def about_hours(hours: float) -> str:
    """ "~0.05", "~3.2", "~140": two digits at most, and no seconds."""
    hours = max(hours, 0.01)
    digits = min(1 - math.floor(math.log10(float(f"{hours:.2g}"))), 2)  # of 0.996 one, since it is shown as 1.0
    return f"~{round(hours, digits):.{max(digits, 0)}f}"


def _of_model(plan: ModelPlan) -> tuple[str, str]:
    """The cells that are the same on every device."""
    assert plan.shape is not None
    return _count(plan.shape.parameters), _download(plan)


def _of_device(verdict: Verdict) -> list[str]:
    found = verdict.footprint
    return [gb(size) for size in (found.weights, found.training, found.activations + found.copies, found.peak)]


def _coloured(verdict: Verdict) -> str:
    colour, word = _word(verdict)
    return f"[{colour}]{word}[/]"


def _word(verdict: Verdict) -> tuple[str, str]:
    if verdict.refused:
        return "red", "cannot"
    if verdict.fits:
        return "green", "fits" if not verdict.fewer else f"fits, {verdict.at_once} at once"
    return ("yellow", "with changes") if verdict.changes else ("red", "does not fit")


def _training(plan: ModelPlan) -> str:
    assert plan.settings is not None and plan.batch is not None and plan.shape is not None
    trained = "" if plan.shape.trained == plan.shape.parameters else f", {_count(plan.shape.trained)} trained"
    bound = "" if plan.tokens_counted else "at most "
    rows = "1 row" if plan.batch.rows == 1 else f"{plan.batch.rows} rows"
    return f"{plan.adaptation}{trained}; {rows} of {bound}{plan.batch.tokens} tokens at once"


def _disk(plan: ModelPlan) -> str:
    assert plan.disk is not None
    if plan.on_machine:
        parts = ["its weights are on this machine"]
    elif plan.disk.files is None:
        parts = ["a download of unknown size"]
    else:
        free = plan.disk.free
        short = f", but only {gb(free)} GB are free for it" if free is not None and plan.disk.files > free else ""
        parts = [f"downloads {gb(plan.disk.files)} GB{short}"]
    if plan.disk.kept:
        parts.append(f"oof/ keeps {gb(plan.disk.kept)} GB for all folds")
    if plan.disk.hidden_states:
        parts.append(f"hidden states of the frozen layers take about {gb(plan.disk.hidden_states)} GB")
    return "; ".join(parts)


def _download(plan: ModelPlan) -> str:
    assert plan.disk is not None
    if plan.on_machine:
        return "here"
    return "?" if plan.disk.download is None else gb(plan.disk.download)


def _count(parameters: int) -> str:
    """ "22.7 M", "1.24 B", "72.7 B"."""
    value, unit = (parameters / 1e9, "B") if parameters >= 1e9 else (parameters / 1e6, "M")
    return f"{value:.2f} {unit}" if value < 10 else f"{value:.1f} {unit}" if value < 100 else f"{value:.0f} {unit}"


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
