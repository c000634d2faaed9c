"""What a user's own class may leave out of the contract."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from compete.base_models.families import FitContext, Needs, NotKeptError, completed, keeps_models
from compete.base_models.recipes import Recipe, load_recipe
from compete.competition.workspace import Workspace
from compete.errors import UserError

OWN = """
from pydantic import BaseModel

from compete.base_models.families import Needs


class Own:
    class Settings(BaseModel):
        checkpoint: str = "nobody/large"
        remote_code: bool = {remote_code}

    def __init__(self, settings): ...

    def fit(self, texts, labels, context): ...
"""
ASKS_FOR_ALL_GPUS = """
    @classmethod
    def needs(cls, settings):
        return Needs(all_gpus=True)
"""


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
    bare: Any = Bare
    family: Any = completed(bare)
    assert family is bare
    assert type(pickle.loads(pickle.dumps(family(None)))) is Bare  # as its own code may, to use several processes
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


def own_recipe(workspace: Workspace, code: str) -> Recipe:
    (workspace.root / "own.py").write_text(code, encoding="utf-8")
    workspace.recipe("own").write_text('family = "own.py:Own"\n', encoding="utf-8")
    return load_recipe(workspace, "own")


def test_what_a_users_class_needs_may_stand_in_its_defaults(workspace: Workspace) -> None:
    recipe = own_recipe(workspace, OWN.format(remote_code=False))
    assert recipe.needs == Needs()  # the file was not imported yet
    assert recipe.ready().needs == Needs(checkpoint="nobody/large")
    assert recipe.ready().identity() == recipe.identity()


def test_a_users_class_says_itself_what_it_needs(workspace: Workspace) -> None:
    recipe = own_recipe(workspace, OWN.format(remote_code=False) + ASKS_FOR_ALL_GPUS)
    assert recipe.ready().needs == Needs(all_gpus=True)


def test_remote_code_by_default_of_a_users_class_is_refused_too(workspace: Workspace) -> None:
    recipe = own_recipe(workspace, OWN.format(remote_code=True))
    with pytest.raises(UserError, match=r"nobody/large runs Python code.*remote_code = \['own'\]"):
        recipe.build()
