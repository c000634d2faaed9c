"""A generator in every task it is for: a slot per class or grade, and one class that is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compete.base_models.generator.family import LabelGenerator
from compete.base_models.generator.free_generation import FreeAnswers
from compete.base_models.generator.label_slots import LabelSlots
from compete.base_models.generator.prompts import Prompt
from compete.competition.task import TaskName
from compete.competition.text_columns import PAIR
from support.generators import decoded, settings, tokenizer_of
from support.task_posts import GRADES, assert_better_than_a_constant, assert_in_form, task_context, task_posts

pytestmark = pytest.mark.slow

SLOTS: tuple[TaskName, ...] = ("multilabel", "binary", "multiclass", "ordinal")
LEARNING: dict[str, Any] = {"epochs": 6, "learning_rate": 3e-3, "scheduler": "constant"}
CLASSES = ("worst", "worse", "better", "best")


def fit(task: TaskName, **more: Any) -> Any:
    chosen = settings("qwen2", **{**LEARNING, **more})
    return LabelGenerator(chosen).fit(*task_posts(task, 96), task_context(task))


def prompt_of(task: TaskName, prompt: str = "{text}\n") -> Prompt:
    context = task_context(task)
    tokenizer = tokenizer_of(task_posts("multilabel", 40), "qwen2")  # type: ignore[arg-type]
    plain = settings("qwen2", chat=False).model_copy(update={"prompt": prompt})
    chosen = LabelGenerator.settled(plain, task)
    return Prompt(tokenizer, chosen, context.labels, context.grades)


@pytest.mark.parametrize("task", SLOTS)
def test_slots_are_learnt_and_read_again_in_every_task(tmp_path: Path, task: TaskName) -> None:
    texts, targets = task_posts(task, 96)
    model = fit(task)
    found = model.predict_proba(texts)
    assert_in_form(task, found, len(texts))
    assert_better_than_a_constant(found, targets)
    assert model.predict_proba([]).shape == (0, found.shape[1])
    assert model.save(tmp_path, whole=True)
    again = LabelGenerator(settings("qwen2", **LEARNING)).load(tmp_path, task_context(task)).predict_proba(texts)
    np.testing.assert_allclose(again, found, atol=1e-5)


def test_every_class_has_a_slot_and_every_grade_of_every_target() -> None:
    classes, grades = LabelSlots(prompt_of("multiclass")), LabelSlots(prompt_of("ordinal"))
    assert [decoded(classes.prompt, slot) for slot in classes.slots] == [f"{name}:" for name in CLASSES]
    asked = [decoded(grades.prompt, slot) for slot in grades.slots]
    assert asked == [f"{name} {grade:g}:" for name in ("mood", "calm") for grade in GRADES]


def test_the_prompt_asks_in_the_words_of_the_task() -> None:
    asked = {task: prompt_of(task, prompt="") for task in SLOTS}
    words = {task: decoded(prompt, prompt.before) for task, prompt in asked.items()}
    assert words["multilabel"].startswith("Which of these apply to the text: good, bad?")
    assert words["multiclass"].startswith(f"Which one of these is right for the text: {', '.join(CLASSES)}?")
    assert words["ordinal"].startswith("Graded from -2, -1, 0, 1: which grade of mood, calm does the text have?")


def test_a_pair_is_read_as_lines_of_one_text() -> None:
    prompt = prompt_of("multiclass")
    pair, lines = prompt.encode([f"a day{PAIR}awful", "a day\nawful"], spare=1)
    assert pair == lines


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("better", [0, 0, 1, 0]),
        ("Better.", [0, 0, 1, 0]),
        ("best, worst", [0, 0, 0, 1]),
        ("betterr", [0, 0, 1, 0]),
        ("", [0.25] * 4),
        ("none", [0.25] * 4),
        ("I cannot say", [0.25] * 4),
    ],
)
def test_the_first_class_that_is_written_counts(written: str, expected: list[float]) -> None:
    assert FreeAnswers(prompt_of("multiclass"), "classes").read(written).tolist() == expected


def test_a_class_may_be_called_none() -> None:
    prompt = prompt_of("multiclass")
    changed = Prompt(prompt.tokenizer, prompt.settings, ("none", "some"))
    assert FreeAnswers(changed, "classes").read("none").tolist() == [1, 0]


def test_one_class_is_written() -> None:
    texts, targets = task_posts("multiclass", 96)
    found = fit("multiclass", decoding="generate", max_new_tokens=6, epochs=12).predict_proba(texts[:24])
    assert_in_form("multiclass", found, 24)
    assert (found.argmax(axis=1) == targets[:24].argmax(axis=1)).mean() > 0.7
