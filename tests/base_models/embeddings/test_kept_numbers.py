"""Numbers of texts: the same with and without a cache, in batches of any size, and by jobs side by side."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.base_models.embeddings.encoder import Encoder
from compete.base_models.embeddings.kept_numbers import numbers_of
from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.families import FitContext
from compete.base_models.miniatures.writing import write_miniature
from compete.base_models.pretrained.batching import Row
from compete.base_models.pretrained.checkpoints import source_of
from compete.competition.text_columns import PAIR

pytestmark = pytest.mark.slow

TEXTS = [" ".join(["sunny"] * (number % 7) + [f"word{number}"]) for number in range(60)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("gemma")
    write_miniature("gemma3_embedding", TEXTS, made, seed=1)
    return made


class Counting(Encoder):
    """Remembers what it was asked to compute."""

    def numbers(self, rows: Sequence[Row]) -> NDArray[np.float32]:
        vars(self).setdefault("asked", []).extend(rows)
        return super().numbers(rows)

    @property
    def count(self) -> int:
        return len(vars(self).get("asked", []))


def opened(folder: Path, **more: Any) -> Counting:
    settings = EmbeddingsSettings(
        checkpoint=str(folder), **{"precision": "float32", "layers": (1, -1), "max_length": 48, **more}
    )
    return Counting.open(source_of(settings, [], 1))  # type: ignore[return-value]


def context(cache: Path | None = None, seed: int = 1) -> FitContext:
    return FitContext(("joy",), seed, features=cache)


def test_they_are_the_same_with_and_without_a_cache_and_in_batches_of_any_size(folder: Path, tmp_path: Path) -> None:
    plain = numbers_of(opened(folder), TEXTS, context())
    first = opened(folder)
    np.testing.assert_array_equal(numbers_of(first, TEXTS, context(tmp_path)), plain)
    again = opened(folder)
    np.testing.assert_array_equal(numbers_of(again, TEXTS, context(tmp_path, seed=5)), plain)
    assert (first.count, again.count) == (len(TEXTS), 0)
    np.testing.assert_allclose(numbers_of(opened(folder, eval_batch_size=1), TEXTS, context()), plain, atol=1e-5)
    alone = numbers_of(opened(folder), TEXTS[5:6], context())
    np.testing.assert_allclose(alone, plain[5:6], atol=1e-5)


def test_a_text_that_comes_twice_is_computed_once_and_another_reading_has_a_shelf_of_its_own(
    folder: Path, tmp_path: Path
) -> None:
    encoder = opened(folder)
    found = numbers_of(encoder, [*TEXTS, *TEXTS], context(tmp_path))
    np.testing.assert_array_equal(found[: len(TEXTS)], found[len(TEXTS) :])
    assert encoder.count == len(TEXTS)
    others: list[dict[str, Any]] = [{"layers": (1,)}, {"pooling": "last"}, {"precision": "bfloat16"}]
    identities = {opened(folder, **more).identity for more in [{}, *others]}
    assert len(identities) == 4
    assert opened(folder, prompt="another ").identity in identities  # the prompt is in the tokens


def test_empty_texts_and_pairs_and_long_ones_have_their_numbers(folder: Path, tmp_path: Path) -> None:
    texts = ["", f"sunny{PAIR}rotten", f"{PAIR}", "sunny " * 200, *("rotten " * 200 + str(n) for n in range(9))]
    for prompt in ("", "say: "):
        found = numbers_of(opened(folder, prompt=prompt), texts, context(tmp_path))
        assert np.isfinite(found).all()
        plain = numbers_of(opened(folder, prompt=prompt), texts, context())
        np.testing.assert_allclose(found, plain, atol=1e-5)
    assert numbers_of(opened(folder), [], context(tmp_path)).shape == (0, 128)
    # Texts that were cut to one length do not all wait for one job.
    varied = [f"{n} {'word ' * 80}" for n in range(40)]
    numbers_of(opened(folder), varied, context(tmp_path / "cut"))
    assert len(list((tmp_path / "cut").rglob("48_*.safetensors"))) > 5


def test_a_damaged_shelf_is_computed_again(folder: Path, tmp_path: Path) -> None:
    plain = numbers_of(opened(folder), TEXTS, context(tmp_path))
    for file in tmp_path.rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-9])
    encoder = opened(folder)
    np.testing.assert_array_equal(numbers_of(encoder, TEXTS, context(tmp_path)), plain)
    assert encoder.count == len(TEXTS)


def test_a_disk_that_is_full_or_read_only_costs_the_cache_and_not_the_job(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = numbers_of(opened(folder), TEXTS, context())

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    asked = context(tmp_path / "full")
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_bytes", full)
        np.testing.assert_array_equal(numbers_of(opened(folder), TEXTS, asked), plain)
        numbers_of(opened(folder), TEXTS, asked)
    assert asked.warnings == ["no room on the disk for what the checkpoint says of texts: every fold reads them anew"]
    numbers_of(opened(folder), TEXTS[:30], context(tmp_path / "read"))
    monkeypatch.setattr("os.access", lambda *_: False)  # the tests may run as root, who may all
    before = sorted((tmp_path / "read").rglob("*"))
    encoder = opened(folder)
    np.testing.assert_allclose(numbers_of(encoder, TEXTS, context(tmp_path / "read")), plain, atol=1e-5)
    assert encoder.count == 30
    assert sorted((tmp_path / "read").rglob("*")) == before


FILL = """
import sys
from pathlib import Path
import numpy as np
from compete.base_models.embeddings.encoder import Encoder
from compete.base_models.embeddings.kept_numbers import numbers_of
from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.families import FitContext
from compete.base_models.pretrained.checkpoints import source_of

checkpoint, cache, result, seed, texts = sys.argv[1:]
asked = []
plain = Encoder.numbers
Encoder.numbers = lambda self, rows: (asked.extend(rows), plain(self, rows))[1]
settings = EmbeddingsSettings(checkpoint=checkpoint, precision="float32", layers=(1, -1), max_length=48)
encoder = Encoder.open(source_of(settings, [], 1))
found = numbers_of(encoder, texts.splitlines(), FitContext(("joy",), int(seed), features=Path(cache)))
np.save(result, found)
print(len(asked))
"""


def test_two_processes_that_fill_one_cache_agree_and_share_the_work(folder: Path, tmp_path: Path) -> None:
    seeds = ("0", "4")
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", FILL, folder, tmp_path / "cache", tmp_path / f"{seed}.npy", seed, "\n".join(TEXTS)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in seeds
    ]
    counts = [int(job.communicate(timeout=240)[0]) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0]
    first, second = (np.load(tmp_path / f"{seed}.npy") for seed in seeds)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, numbers_of(opened(folder), TEXTS, context()), atol=1e-5)
    assert sum(counts) == len(TEXTS)
