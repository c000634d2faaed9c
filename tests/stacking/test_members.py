from __future__ import annotations

import numpy as np
import pytest

from compete.competition.data import Competition
from compete.competition.planned import Planned
from compete.errors import StoreError, UserError
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.stacking.inventory import Inventory
from compete.stacking.members import Members, choose_members, read_members
from support.stacks import BOTH, train_models, write_recipe

pytestmark = pytest.mark.slow


def test_all_trained_models_are_members(trained: Competition, planned: Planned) -> None:
    assert choose_members(Inventory(planned)) == Members(BOTH, {})


def test_models_that_are_not_there_yet_are_left_out_with_a_reason(trained: Competition, planned: Planned) -> None:
    write_recipe(trained, "absent", 2.0)
    write_recipe(trained, "partial", 3.0)
    train_models(trained, ["partial"], folds=[1])
    assert choose_members(Inventory(planned)) == Members(
        BOTH, {"absent": "not trained yet", "partial": "1 of 3 folds trained"}
    )


def test_a_model_outside_all_is_not_missed_but_stacked_once_it_is_trained(
    trained: Competition, planned: Planned
) -> None:
    write_recipe(trained, "wish", 2.0)
    recipe = trained.workspace.recipes / "wish.toml"
    recipe.write_text("outside_all = true\n" + recipe.read_text(encoding="utf-8"), encoding="utf-8")
    assert choose_members(Inventory(planned)) == Members(BOTH, {})
    with pytest.raises(StoreError, match="wish: not trained yet"):
        choose_members(Inventory(planned), [*BOTH, "wish"])
    train_models(trained, ["wish"], folds=[1])
    assert choose_members(Inventory(planned)).left_out == {"wish": "1 of 3 folds trained"}
    train_models(trained, ["wish"])
    assert choose_members(Inventory(planned)) == Members(["wish", *BOTH], {})


def test_a_model_that_is_asked_for_by_name_must_be_whole(trained: Competition, planned: Planned) -> None:
    write_recipe(trained, "absent", 2.0)
    with pytest.raises(StoreError, match=r"absent: not trained yet; `compete train-base absent`"):
        choose_members(Inventory(planned), [*BOTH, "absent"])
    assert choose_members(Inventory(planned), BOTH) == Members(BOTH, {})


def test_a_stale_model_is_refused_with_its_reason(trained: Competition, planned: Planned) -> None:
    write_recipe(trained, "third", 2.0)
    train_models(trained, ["third"])
    write_recipe(trained, "words", 9.0)
    with pytest.raises(StoreError) as caught:
        choose_members(Inventory(planned))
    assert "words: settings.smoothing: 1.0 -> 9.0" in str(caught.value)
    assert str(caught.value).endswith("--without words")
    members = choose_members(Inventory(planned), without=["words"])
    assert members == Members(["third", "words_smooth"], {"words": "left out as asked"})


def test_a_damaged_model_is_refused_even_if_only_a_byte_is_gone(trained: Competition, planned: Planned) -> None:
    path = trained.workspace.base_model("words").oof
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"words/oof\.parquet is not the file that compete wrote"):
        choose_members(Inventory(planned))


@pytest.mark.parametrize(("named", "without"), [(["wrods", "words_smooth"], []), ([], ["wrods"])])
def test_an_unknown_model_gets_the_nearest_name(
    trained: Competition, planned: Planned, named: list[str], without: list[str]
) -> None:
    with pytest.raises(UserError, match=r"no base model 'wrods'; did you mean 'words'\?"):
        choose_members(Inventory(planned), named, without)


def test_one_model_is_no_stack(trained: Competition, planned: Planned) -> None:
    with pytest.raises(UserError, match="needs at least two base models, and there is one") as caught:
        choose_members(Inventory(planned), without=["words_smooth"])
    assert "compete submit words" in str(caught.value)


def test_no_model_is_no_stack(competition: Competition) -> None:
    with pytest.raises(UserError, match="there is none") as caught:
        choose_members(Inventory(with_plan(competition)))
    assert "words_smooth: not trained yet" in str(caught.value)


def test_members_are_read_in_the_order_they_are_named(trained: Competition) -> None:
    oof, test = read_members(trained, ["words_smooth", "words"])
    assert oof.shape == (2, 240, 3)
    assert test.shape == (2, 90, 3)
    alone = store.read_model(trained.workspace.base_model("words"), trained.shape)
    assert np.array_equal(oof[1], alone.oof) and np.array_equal(test[1], alone.test)
    assert not np.array_equal(oof[0], oof[1])


def test_all_that_is_trained_can_be_asked_for_beside_a_name(trained: Competition, planned: Planned) -> None:
    write_recipe(trained, "absent", 2.0)
    assert choose_members(Inventory(planned), ["words"], everything=True) == Members(
        BOTH, {"absent": "not trained yet"}
    )
    with pytest.raises(StoreError, match="absent: not trained yet"):
        choose_members(Inventory(planned), ["absent"], everything=True)
    with pytest.raises(UserError, match=r"there is one \(words:"):
        choose_members(Inventory(planned), ["words"], everything=False)
