"""Hours that are reckoned from data sheets: how they have to go with rows, cards, precision and what is trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.base_models.recipes import Recipe, RecipeDeclaration
from compete.planning.cards import FOUR_BIT_UTILISATION, absent_devices, parse_device
from compete.planning.estimates import operations
from compete.planning.footprint import anatomy
from compete.planning.longest_rows import Length
from compete.planning.model_plan import Estimate, Machine, ModelPlan, rows_to_plan
from compete.planning.resources import plan_model
from compete.reporting.terminal.plan_table import about_hours, model_lines
from support.shapes import LLAMA, SMALL, classifier

pytestmark = pytest.mark.slow

# Large enough that a card's operations count, not how fast kernels are launched.
BILLION = {**LLAMA, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32}
BILLION |= {"num_key_value_heads": 8}
GEMMA = {**BILLION, "model_type": "gemma2", "head_dim": 64}
TEXT = "a day in the life of somebody " * 8


def plan(
    device: str, *, raw: Mapping[str, Any] = BILLION, rows: int = 400, session: float | None = None, **settings: Any
) -> ModelPlan:
    settings = {"adaptation": "qlora", "batch_size": 16, "epochs": 1, **settings}
    described = {"some/where": {"config": raw, "parameters": 1, "download_gb": 2.0}}
    declaration = RecipeDeclaration.model_validate({"family": "sequence_classifier", "architectures": described})
    family: Any = SequenceClassifier
    resolved = classifier(**settings)
    recipe = Recipe("model", Path("model.toml"), declaration, family, resolved, SequenceClassifier.needs(resolved))
    asked = parse_device(device)
    machine = Machine(absent_devices(asked, []), 1, folds=4, asked=asked.name, session=session)
    return plan_model(recipe, rows_to_plan(["joy"] * 11, [TEXT] * rows, [TEXT] * (rows // 2)), machine)


def estimate(device: str, **more: Any) -> Estimate:
    found = plan(device, **more).verdicts[0].estimate
    assert found is not None
    return found


def hours(device: str, **more: Any) -> float:
    return estimate(device, **more).schedule.hours


def test_twice_the_rows_take_twice_as_long() -> None:
    assert hours("T4", rows=800) == pytest.approx(2 * hours("T4"))
    assert hours("T4", epochs=2) > 1.5 * hours("T4")


def test_two_cards_take_half_and_a_model_over_both_takes_as_long_as_over_one() -> None:
    assert hours("2x L4") == pytest.approx(hours("L4") / 2)
    assert hours("2x L4", model_parallel=True) == pytest.approx(hours("L4"))


def test_a_faster_card_is_faster_by_its_peak() -> None:
    assert hours("L4") / hours("A100-80") == pytest.approx(312 / 121)


def test_gemma_computes_in_float32_on_a_t4() -> None:
    slower = hours("T4", raw=GEMMA) / hours("L4", raw=GEMMA)
    assert slower == pytest.approx(121 / 8.1)
    assert hours("T4") / hours("L4") == pytest.approx(121 / 65)  # as all others, in float16


def test_float32_that_is_asked_for_is_reckoned_with() -> None:
    assert hours("A100-80", precision="float32") / hours("A100-80") == pytest.approx(312 / 19.5)


def test_a_small_model_is_bound_by_its_launches_on_every_card() -> None:
    assert hours("T4", raw=SMALL) == pytest.approx(hours("H100-80", raw=SMALL))
    assert hours("T4", raw=SMALL, micro_batch_size=8) > 1.3 * hours("T4", raw=SMALL)


def test_changes_that_make_it_fit_are_reckoned_with() -> None:
    roomy, tight = plan("A100-80", adaptation="full"), plan("T4", adaptation="full")
    assert roomy.verdicts[0].fits and not tight.verdicts[0].fits
    changed = dict(tight.verdicts[0].changes)
    same = hours("T4", **{"adaptation": "full", **changed})
    assert tight.verdicts[0].estimate is not None
    assert tight.verdicts[0].estimate.schedule.hours == pytest.approx(same)


def test_what_cannot_be_computed_has_no_hours() -> None:
    verdict = plan("P100").verdicts[0]
    assert "PyPI's torch has no kernels for compute capability 6.0" in verdict.refused
    assert verdict.estimate is None
    assert plan("T4", rows=0).verdicts[0].estimate is None  # no rows, no hours


def test_operations_are_those_of_what_is_trained() -> None:
    length = Length(100, 0, counted=False, mean=50)

    def per_weight(**settings: Any) -> tuple[float, float, float]:
        resolved = classifier(**settings)
        shape = anatomy(SMALL, resolved, 11)
        weights = 50 * shape.layers * shape.layer.weights
        found = operations(shape, resolved, length, 11)
        adapters = 50 * shape.adapters
        return (
            (found.trained - 6 * adapters) / weights,
            (found.predicted - 2 * adapters) / weights,
            found.once / weights,
        )

    assert per_weight(adaptation="full") == pytest.approx((6, 2, 0))
    assert per_weight(adaptation="full", gradient_checkpointing=True) == pytest.approx((8, 2, 0))
    assert per_weight(adaptation="lora") == pytest.approx((4, 2, 0))
    assert per_weight(adaptation="frozen") == pytest.approx((2, 2, 0))
    # Two of three layers stay as they are, and are computed once.
    assert per_weight(adaptation="full", frozen_layers=2) == pytest.approx((2, 2 / 3, 4 / 3))


def test_a_second_pass_of_a_row_is_reckoned_with() -> None:
    length = Length(100, 0, counted=False, mean=50)

    def trained(**settings: Any) -> float:
        resolved = classifier(epochs=4, **settings)
        found = operations(anatomy(SMALL, resolved, 11), resolved, length, 11)
        assert found.predicted == plain.predicted
        assert found.passes_trained / plain.passes_trained == pytest.approx(found.trained / plain.trained)
        return found.trained / plain.trained

    plain = operations(anatomy(SMALL, classifier(), 11), classifier(), length, 11)
    assert trained() == trained(ema=0.99, layer_decay=0.9, head_dropouts=5) == 1
    assert trained(adversarial="fgm") == trained(r_drop=0.5) == 2
    assert trained(adversarial="awp", adversarial_from_epoch=3) == 1.5
    assert trained(adversarial="fgm", r_drop=0.5) == 4


def test_a_prompt_per_label_costs_as_many_prompts() -> None:
    length = Length(100, 1, counted=False, mean=50)
    once = LabelGeneratorSettings(checkpoint="some/where")
    each = LabelGeneratorSettings(checkpoint="some/where", shared_prefix=False)
    shape = anatomy(SMALL, once, 11)
    assert operations(shape, each, length, 11).trained == pytest.approx(
        11 * operations(shape, once, length, 11).trained
    )


def test_sessions_are_counted_in_whole_folds() -> None:
    fold = estimate("T4").work.fold
    assert estimate("T4", session=2.5 * fold).schedule.sessions == 2
    assert estimate("T4", session=1.5 * fold).schedule.sessions == 4
    assert estimate("2x T4", session=1.5 * fold).schedule.sessions == 2
    assert estimate("T4", session=0.9 * fold).schedule.sessions is None
    assert estimate("T4").schedule.sessions is None


def test_the_hours_are_the_operations_over_the_reached_share_of_the_peak() -> None:
    settings = classifier(adaptation="qlora", batch_size=16, epochs=1)
    shape = anatomy(BILLION, settings, 11)
    found = operations(shape, settings, Length(100, 0, counted=False, mean=len(TEXT) / 3.5 + 2), 11)
    others = 400 * 3 / 4
    done = 0.9 * others * found.trained + (0.1 * others + 100 + 200) * found.predicted
    assert hours("L4") == pytest.approx(4 * done / (121e12 * FOUR_BIT_UTILISATION) / 3600)


def test_an_estimate_is_shown_with_a_tilde_and_two_digits() -> None:
    shown = [about_hours(hours) for hours in (0.00001, 0.0349, 0.0521, 0.56, 0.9959, 2.0, 3.2499, 17.6, 143.0)]
    assert shown == ["~0.01", "~0.03", "~0.05", "~0.56", "~1.0", "~2.0", "~3.2", "~18", "~140"]


def test_free_memory_is_proposed_for_less_time_and_what_is_proposed_fits() -> None:
    careful: dict[str, Any] = {"gradient_checkpointing": True, "micro_batch_size": 2}
    verdict = plan("A100-80", **careful).verdicts[0]
    assert verdict.room_for == {"gradient_checkpointing": False, "micro_batch_size": 16}
    assert verdict.estimate is not None and verdict.roomier is not None
    assert verdict.roomier.schedule.hours == pytest.approx(hours("A100-80"))
    assert verdict.roomier.schedule.hours < 0.8 * verdict.estimate.schedule.hours
    assert "there is room for gradient_checkpointing = false, micro_batch_size = 16: ~" in "\n".join(
        model_lines(plan("A100-80", rows=40_000, **careful))
    )
    # What is all used already, or does not fit as it is, leaves nothing to propose.
    assert plan("A100-80").verdicts[0].room_for == {}
    assert plan("P100", **careful).verdicts[0].room_for == {}


def test_no_more_memory_is_proposed_than_there_is() -> None:
    long: dict[str, Any] = {"gradient_checkpointing": True, "micro_batch_size": 1, "batch_size": 64, "max_length": 512}
    verdict = plan("T4", raw=BILLION, **long).verdicts[0]
    proposed = dict(verdict.room_for)
    assert proposed["gradient_checkpointing"] is False and 1 < proposed["micro_batch_size"] < 64
    assert plan("T4", **{**long, **proposed}).verdicts[0].fits
    more = {**long, **proposed, "micro_batch_size": 2 * proposed["micro_batch_size"]}
    assert not plan("T4", **more).verdicts[0].fits


def test_predictions_are_reckoned_in_the_precision_of_the_training() -> None:
    """All of it is slower in float32: held-out rows and test rows as those that are trained on."""
    for adaptation in ("lora", "full"):
        slower = hours("A100-80", adaptation=adaptation, precision="float32")
        assert slower / hours("A100-80", adaptation=adaptation) == pytest.approx(312 / 19.5)
