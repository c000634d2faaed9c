from __future__ import annotations

from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.planning.longest_rows import longest_row
from compete.planning.model_plan import rows_to_plan
from support.shapes import classifier


def test_a_text_is_estimated_longer_than_it_is_and_never_above_the_limit() -> None:
    rows = rows_to_plan(("joy", "anger"), ["ten bytes!", "x" * 60], ["y"])
    assert rows.total_bytes == 71
    assert longest_row(classifier(), rows, None).tokens == 32
    assert longest_row(classifier(max_length=16), rows, None).tokens == 16
    slots = longest_row(LabelGeneratorSettings(checkpoint="some/where"), rows, None)
    assert slots.kept == 2
    assert slots.tokens > 32
    apart = LabelGeneratorSettings(checkpoint="some/where", shared_prefix=False)
    assert longest_row(apart, rows, None).kept == 1


def test_every_grade_of_every_target_is_a_slot() -> None:
    plain, graded = (rows_to_plan(("joy", "anger"), ["ten bytes!"], [], grades) for grades in ((), (0, 1, 2)))
    few, many = (longest_row(LabelGeneratorSettings(checkpoint="some/where"), rows, None) for rows in (plain, graded))
    assert (few.kept, many.kept) == (2, 6)
    assert many.tokens > few.tokens


def test_a_prompt_counts_in_every_text() -> None:
    rows = rows_to_plan(("joy",), ["ten bytes!"] * 3, [])
    plain, behind = (longest_row(classifier(), rows, None, prompt) for prompt in ("", "twenty bytes of it: "))
    assert (behind.tokens, behind.mean > plain.mean) == (plain.tokens + 10, True)
    assert longest_row(classifier(max_length=8), rows, None, "twenty bytes of it: ").tokens == 8
