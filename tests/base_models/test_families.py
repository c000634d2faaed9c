"""What a user's own class may leave out of the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from compete.base_models.families import FitContext, Needs, NotKeptError, completed, keeps_models


class Bare:
    class Settings(BaseModel):
        pass

    def __init__(self, settings: Any) -> None:
        pass

    def fit(self, texts: Any, labels: Any, context: FitContext) -> Any:
        return self


class Kept(Bare):
    version = 7
    imports = ("heavy",)

    @classmethod
    def needs(cls, settings: Any) -> Needs:
        return Needs(checkpoint="some/where")

    def load(self, folder: Path, context: FitContext) -> Any:
        return folder


def test_what_is_left_out_is_filled_in_and_its_models_are_not_kept(tmp_path: Path) -> None:
    family: Any = completed(Bare)
    assert issubclass(family, Bare) and family.__name__ == "Bare"
    assert (family.version, family.imports, family.needs(Bare.Settings())) == (1, (), Needs())
    assert not keeps_models(family)
    with pytest.raises(NotKeptError, match="its models are not kept"):
        family(Bare.Settings()).load(tmp_path, FitContext(("joy",), seed=1))


def test_what_is_there_is_not_replaced_and_a_class_with_load_keeps_its_models(tmp_path: Path) -> None:
    own: Any = Kept
    assert completed(own) is own
    assert keeps_models(own)

    class Half(Bare):
        def load(self, folder: Path, context: FitContext) -> Any:
            return folder

    half: Any = completed(Half)
    assert half.version == 1
    assert keeps_models(half)
    assert half(Bare.Settings()).load(tmp_path, FitContext(("joy",), seed=1)) == tmp_path
