"""Recipes: which settings are in force, what a result's identity holds, and whose code may run."""

from __future__ import annotations

from pathlib import Path

import pytest

from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.base_models.recipes import Recipe, has_recipe, load_recipe, load_recipes, recipe_names
from compete.competition.declaration import Size
from compete.competition.workspace import Workspace
from compete.errors import DeclarationError, UserError

DECLARATION = """\
name = "tiny"

[data]
train = "train.csv"
test = "test.csv"
id = "id"
text = "text"
"""

RECIPE = """\
family = "sequence_classifier"

[settings]
checkpoint = "org/large"
adaptation = "lora"
epochs = 4
batch_size = 8
max_length = 128
lora = { r = 16, alpha = 32, dropout = 0.1 }

[laptop]
checkpoint = "org/small"
epochs = 2
lora = { r = 4 }

[miniature]
checkpoint = "miniature:llama"

[published]
validation = 0.5

[published.settings]
epochs = 9
lora = { alpha = 256, bias = "all" }
"""

COMMIT = "d03be74b361d4eb24f42a2fe5bd2e29917df4604"
TRUSTING = f"""\
family = "sequence_classifier"

[settings]
checkpoint = "org/coded"
revision = "{COMMIT}"
remote_code = true

[laptop]
checkpoint = "org/small"
revision = ""
remote_code = false

[miniature]
checkpoint = "miniature:stella"

[published.settings]
epochs = 9
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with one recipe that differs at every size."""
    (tmp_path / "competition.toml").write_text(DECLARATION, encoding="utf-8")
    write(tmp_path, "model", RECIPE)
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    (root / "base_models").mkdir(exist_ok=True)
    (root / "base_models" / f"{name}.toml").write_text(text, encoding="utf-8")


def declare(root: Path, more: str) -> None:
    (root / "competition.toml").write_text(f"{DECLARATION}\n{more}\n", encoding="utf-8")


def load(root: Path, name: str = "model", size: Size | None = None) -> Recipe:
    return load_recipe(Workspace(root, size), name)


def settings(root: Path, name: str = "model", size: Size | None = None) -> SequenceClassifierSettings:
    found = load(root, name, size).settings
    assert isinstance(found, SequenceClassifierSettings)
    return found


@pytest.fixture
def folder(root: Path) -> Path:
    """A local folder that looks like a checkpoint."""
    made = root / "weights"
    made.mkdir()
    (made / "config.json").write_text("{}", encoding="utf-8")
    (made / "model.safetensors").write_bytes(b"\x00" * 1000)
    return made


# Which settings are in force


def test_a_size_changes_the_settings_it_names_and_no_others(root: Path) -> None:
    full, laptop, miniature = (settings(root, size=size) for size in ("full", "laptop", "miniature"))
    assert (full.checkpoint, full.epochs, full.batch_size) == ("org/large", 4, 8)
    assert (laptop.checkpoint, laptop.epochs, laptop.batch_size) == ("org/small", 2, 8)
    assert (miniature.checkpoint, miniature.epochs, miniature.batch_size) == ("miniature:llama", 4, 8)
    assert settings(root) == full


def test_published_settings_come_last(root: Path) -> None:
    full, laptop, miniature = (settings(root, "model_as_published", size) for size in ("full", "laptop", "miniature"))
    assert [each.epochs for each in (full, laptop, miniature)] == [9, 9, 9]
    assert [each.checkpoint for each in (full, laptop, miniature)] == ["org/large", "org/small", "miniature:llama"]


def test_tables_inside_tables_are_merged_key_by_key(root: Path) -> None:
    def lora(name: str, size: Size) -> tuple[int, int, float, str]:
        found = settings(root, name, size).lora
        return found.r, found.alpha, found.dropout, found.bias

    assert lora("model", "full") == (16, 32, 0.1, "none")
    assert lora("model", "laptop") == (4, 32, 0.1, "none")
    assert lora("model_as_published", "full") == (16, 256, 0.1, "all")
    assert lora("model_as_published", "laptop") == (4, 256, 0.1, "all")


def test_the_size_is_the_competitions_unless_a_command_says_another(root: Path) -> None:
    declare(root, "")
    text = (root / "competition.toml").read_text(encoding="utf-8")
    (root / "competition.toml").write_text(text.replace("[data]", 'size = "laptop"\n\n[data]'), encoding="utf-8")
    assert settings(root).checkpoint == "org/small"
    assert settings(root, size="full").checkpoint == "org/large"


def test_a_mistake_in_a_table_of_changes_is_named_by_that_table(root: Path) -> None:
    write(root, "model", RECIPE.replace("[laptop]\n", "[laptop]\nepoch = 3\n"))
    assert settings(root, size="full").epochs == 4
    with pytest.raises(DeclarationError, match=r"laptop\.epoch: unknown key; did you mean 'epochs'"):
        load(root, size="laptop")
    write(root, "model", RECIPE.replace("epochs = 9", 'epochs = "nine"'))
    with pytest.raises(DeclarationError, match=r'published\.settings\.epochs: found "nine"'):
        load(root, "model_as_published")


def test_a_recipe_without_published_settings_has_no_published_model(root: Path) -> None:
    write(root, "model", RECIPE.split("[published]")[0])
    with pytest.raises(DeclarationError, match=r"model\.toml: has no \[published\] settings to train with"):
        load(root, "model_as_published")


def test_published_settings_may_not_name_a_checkpoint(root: Path) -> None:
    write(root, "model", RECIPE.replace("epochs = 9", 'checkpoint = "org/other"'))
    assert settings(root).checkpoint == "org/large"
    for size in ("full", "miniature"):
        with pytest.raises(DeclarationError, match=r"published\.settings\.checkpoint would undo the size"):
            load(root, "model_as_published", size)


def test_a_published_model_is_no_recipe_of_its_own_but_can_be_named(root: Path) -> None:
    workspace = Workspace(root)
    assert recipe_names(workspace) == ["model"]
    assert has_recipe(workspace, "model_as_published")
    assert not has_recipe(workspace, "other_as_published")
    assert load(root, "model_as_published").name == "model_as_published"
    with pytest.raises(UserError, match=r"no recipe base_models/modle_as_published\.toml"):
        load(root, "modle_as_published")


def test_the_problems_of_several_recipes_are_reported_together(root: Path) -> None:
    write(root, "one", RECIPE.replace("epochs = 4", "epochs = 0"))
    write(root, "two", RECIPE.replace('"sequence_classifier"', '"sequence_clasifier"'))
    with pytest.raises(DeclarationError) as raised:
        load_recipes(Workspace(root), ["one", "two", "model"])
    assert "one.toml" in str(raised.value) and "settings.epochs" in str(raised.value)
    assert "two.toml" in str(raised.value) and "did you mean 'sequence_classifier'" in str(raised.value)


def test_a_generator_reads_its_own_settings(root: Path) -> None:
    write(root, "model", RECIPE.replace('"sequence_classifier"', '"label_generator"'))
    assert isinstance(load(root).settings, LabelGeneratorSettings)
    write(root, "model", RECIPE.replace('"sequence_classifier"', '"label_generator"') + "frozen_layers = 1\n")
    assert load(root).settings
    with pytest.raises(DeclarationError, match=r"published\.settings\.frozen_layers: unknown key"):
        load(root, "model_as_published")


PUBLISHED_OF_LABELS = """\
family = "sequence_classifier"

[settings]
checkpoint = "org/large"
epochs = 4

[published.settings]
epochs = 9
class_weights = "balanced"
loss = "asymmetric"
"""


def test_published_settings_of_another_task_are_left_out_and_named(root: Path) -> None:
    write(root, "model", PUBLISHED_OF_LABELS)
    of_labels = load(root, "model_as_published")
    assert (of_labels.skipped, of_labels.identity()["settings.loss"]) == ({}, "asymmetric")
    (root / "competition.toml").write_text(f'task = "regression"\n{DECLARATION}', encoding="utf-8")
    recipe = load(root, "model_as_published")
    assert set(recipe.skipped) == {"class_weights", "loss"}
    assert "is for multilabel and binary; for regression there are mse" in recipe.skipped["loss"]
    assert recipe.identity()["settings.epochs"] == "9"
    assert recipe.identity()["settings.loss"] == load(root).identity()["settings.loss"]


def test_what_a_user_wrote_as_settings_is_refused_where_it_means_nothing(root: Path) -> None:
    write(root, "model", PUBLISHED_OF_LABELS.replace("epochs = 4", 'epochs = 4\nclass_weights = "balanced"'))
    (root / "competition.toml").write_text(f'task = "regression"\n{DECLARATION}', encoding="utf-8")
    with pytest.raises(DeclarationError, match=r"settings\.class_weights: means nothing in regression"):
        load(root, "model_as_published")


# Checkpoints on this machine


def test_a_checkpoint_can_be_a_local_folder(root: Path, folder: Path) -> None:
    declare(root, '[checkpoints]\n"org/large" = "weights"')
    recipe = load(root)
    assert recipe.folder is not None and recipe.folder.samefile(folder)
    assert Path(recipe.build().settings.checkpoint).samefile(folder)  # type: ignore[attr-defined]
    assert settings(root).checkpoint == "org/large"
    assert load(root, size="laptop").folder is None  # another checkpoint
    assert load(root, "model_as_published").folder == recipe.folder


def test_a_local_folder_that_is_not_there_is_refused_by_name_by_who_opens_it(root: Path) -> None:
    declare(root, '[checkpoints]\n"org/large" = "wieghts"')
    recipe = load(root)  # whoever only reads results does without it
    assert (recipe.folder, recipe.absent) == (None, "wieghts")
    with pytest.raises(UserError, match=r"checkpoints\.org/large: the folder wieghts does not exist"):
        recipe.build()
    assert load(root, size="laptop").absent == ""  # another checkpoint


# Identity


def test_the_size_is_part_of_the_identity_only_where_it_changed_something(root: Path) -> None:
    assert "size" not in load(root, size="full").identity()
    assert load(root, size="laptop").identity()["size"] == "laptop"
    assert load(root, "model_as_published", "miniature").identity()["size"] == "miniature"
    write(root, "model", RECIPE.split("[laptop]")[0])
    full, laptop, miniature = (load(root, size=size).identity() for size in ("full", "laptop", "miniature"))
    assert full == laptop == miniature


# Settings that results were stored before.
LATER = {
    "label_smoothing",  # of classes it was there
    "layer_decay",
    "head_learning_rate",
    "ema",
    "adversarial",
    "adversarial_epsilon",
    "adversarial_from_epoch",
    "r_drop",
    "head_dropouts",
    "head_dropout_rate",
    "noisy_rows",
    "prompt",
}


def test_the_identity_holds_every_setting_with_its_default(root: Path) -> None:
    identity = load(root).identity()
    meant = SequenceClassifierSettings.model_fields.keys() - LATER
    assert {name for name in identity if name.startswith("settings.")} == {f"settings.{name}" for name in meant}
    assert identity["settings.checkpoint"] == "org/large"
    assert identity["seed"] == "42"
    changed = load(root, "model_as_published").identity()
    assert {key for key in identity if identity[key] != changed[key]} == {"settings.epochs", "settings.lora"}


def test_a_setting_that_came_later_is_part_of_the_identity_where_it_is_not_its_default(root: Path) -> None:
    before = load(root).identity()
    of_task(root, "multiclass")
    of_classes = load(root).identity()
    assert of_classes["settings.label_smoothing"] == "0.0"  # results of classes were stored with it
    assert of_classes.keys() - before.keys() == {"settings.label_smoothing"}
    of_task(root, "multilabel")
    write(root, "model", RECIPE.replace("[laptop]", "ema = 0.0\nnoisy_rows = 1.0\n[laptop]"))
    assert load(root).identity() == before  # said, but no other than the default
    write(root, "model", RECIPE.replace("[laptop]", "ema = 0.99\nlabel_smoothing = 0.1\n[laptop]"))
    after = load(root).identity()
    assert {key: after[key] for key in after.keys() - before.keys()} == {
        "settings.ema": "0.99",
        "settings.label_smoothing": "0.1",
    }
    assert {key: after[key] for key in before} == before


def test_what_is_only_said_about_a_model_is_not_part_of_its_identity(root: Path) -> None:
    before = load(root).identity()
    write(root, "model", 'description = "other words"\noutside_all = true\n' + RECIPE.replace("0.5", "0.6"))
    assert load(root).identity() == before


def test_where_a_checkpoint_lies_is_no_part_of_the_identity(root: Path, folder: Path) -> None:
    fetched = load(root).identity()
    declare(root, '[checkpoints]\n"org/large" = "weights"')
    assert load(root).identity() == fetched
    declare(root, '[checkpoints]\n"org/large" = "absent"')
    assert load(root).identity() == fetched


# Code of a checkpoint's repository


def test_a_checkpoint_that_runs_code_is_refused_until_it_is_allowed(root: Path) -> None:
    write(root, "coded", TRUSTING)
    for name in ("coded", "coded_as_published"):
        with pytest.raises(UserError, match=r"org/coded runs Python code .* remote_code = \['coded'\]"):
            load(root, name).refuse_unopenable()
    declare(root, '[training]\nremote_code = ["model"]')
    with pytest.raises(UserError, match="runs Python code from its own repository"):
        load(root, "coded").refuse_unopenable()
    declare(root, '[training]\nremote_code = ["coded"]')
    for name in ("coded", "coded_as_published"):
        load(root, name).refuse_unopenable()


def test_a_miniature_runs_the_code_of_compete_and_needs_no_leave(root: Path) -> None:
    write(root, "coded", TRUSTING)
    for name in ("coded", "coded_as_published"):
        recipe = load(root, name, "miniature")
        assert getattr(recipe.settings, "remote_code", False)
        recipe.refuse_unopenable()


def test_the_size_miniature_allows_no_code_but_a_miniatures(root: Path) -> None:
    """A recipe without a [miniature] table keeps its real checkpoint at that size."""
    write(root, "coded", TRUSTING[: TRUSTING.index("[miniature]")])
    with pytest.raises(UserError, match="runs Python code from its own repository"):
        load(root, "coded", "miniature").refuse_unopenable()


def test_a_recipe_without_code_needs_no_leave(root: Path) -> None:
    write(root, "coded", TRUSTING)
    load(root).refuse_unopenable()
    load(root, "coded", "laptop").refuse_unopenable()


@pytest.mark.parametrize("revision", ["", "main", COMMIT[:39], COMMIT + "0", COMMIT.upper(), "g" * 40])
def test_code_without_a_pinned_commit_is_refused(root: Path, revision: str) -> None:
    write(root, "coded", TRUSTING.replace(f'"{COMMIT}"', f'"{revision}"', 1))
    with pytest.raises(
        DeclarationError, match=r"settings.remote_code: found true, needs `revision`, a commit of 40 hex digits"
    ):
        load(root, "coded")


def test_code_without_any_revision_is_refused(root: Path) -> None:
    write(root, "coded", TRUSTING.replace(f'revision = "{COMMIT}"\n', ""))
    with pytest.raises(DeclarationError, match="needs `revision`"):
        load(root, "coded")


# Settings and tasks

LINEAR = 'family = "linear"\n[settings]\n'


def of_task(root: Path, task: str) -> None:
    (root / "competition.toml").write_text(f'task = "{task}"\n{DECLARATION}', encoding="utf-8")


@pytest.mark.parametrize("task", ["regression", "ordinal"])
def test_a_setting_that_means_nothing_in_the_task_is_refused_by_name(root: Path, task: str) -> None:
    of_task(root, task)
    write(root, "plain", LINEAR + 'class_weights = "balanced"\n')
    with pytest.raises(DeclarationError) as refused:
        load(root, "plain")
    assert f"settings.class_weights: means nothing in {task}; it is for multilabel, binary and multiclass" in str(
        refused.value
    )


def test_the_table_that_sets_it_is_named(root: Path) -> None:
    of_task(root, "regression")
    write(root, "plain", LINEAR + '[miniature]\nclass_weights = "balanced"\n')
    load(root, "plain")
    with pytest.raises(DeclarationError, match=r"miniature\.class_weights: means nothing in regression"):
        load(root, "plain", "miniature")


def test_a_default_is_refused_nowhere_and_where_it_means_nothing_it_is_no_part_of_the_identity(root: Path) -> None:
    write(root, "plain", LINEAR + 'class_weights = "none"\n')
    identities = {}
    for task in ("multilabel", "multiclass", "regression", "ordinal"):
        of_task(root, task)
        identities[task] = load(root, "plain").identity()
    assert identities["multilabel"] == identities["multiclass"]
    assert identities["regression"] == identities["ordinal"]
    assert identities["multilabel"].keys() - identities["regression"].keys() == {"settings.class_weights"}


def test_what_a_net_is_fitted_by_is_no_part_of_the_identity_where_it_cannot_be_chosen(root: Path) -> None:
    write(root, "net", 'family = "ffnn"\n')
    assert "settings.loss" not in load(root, "net").identity()
    of_task(root, "regression")
    by_default = load(root, "net").identity()
    assert by_default["settings.loss"] == "mse"
    write(root, "net", 'family = "ffnn"\n[settings]\nloss = "mse"\n')
    assert load(root, "net").identity() == by_default


def test_a_loss_of_another_task_is_refused_by_name(root: Path) -> None:
    write(root, "net", 'family = "ffnn"\n[settings]\nloss = "pearson"\n')
    of_task(root, "ordinal")
    with pytest.raises(DeclarationError, match=r'settings.loss: "pearson" is for regression; for ordinal there are'):
        load(root, "net")
    of_task(root, "multilabel")
    with pytest.raises(DeclarationError, match=r"settings\.loss: means nothing in multilabel"):
        load(root, "net")


def test_a_tasks_table_changes_the_settings_in_that_task_and_a_size_comes_after_it(root: Path) -> None:
    write(root, "model", RECIPE + "[tasks.ordinal]\nepochs = 7\nlora = { r = 8 }\n")
    assert settings(root).epochs == 4
    of_task(root, "ordinal")
    full, laptop = settings(root), settings(root, size="laptop")
    assert (full.epochs, full.lora.r, full.lora.alpha) == (7, 8, 32)
    assert (laptop.epochs, laptop.lora.r) == (2, 4)
    write(root, "model", RECIPE + '[tasks.ordinal]\nloss = "bce"\n')
    with pytest.raises(DeclarationError, match=r'tasks\.ordinal\.loss: "bce" is for multilabel and binary'):
        load(root)
    write(root, "model", RECIPE + "[tasks.grading]\nepochs = 7\n")
    with pytest.raises(DeclarationError, match=r"tasks\.grading"):
        load(root)


GENERATOR = 'family = "label_generator"\n[settings]\ncheckpoint = "org/some"\n'


def test_a_family_that_is_not_for_the_task_is_refused_when_it_is_to_train_and_left_out_of_all(root: Path) -> None:
    write(root, "answers", GENERATOR)
    assert load(root, "answers").in_all
    of_task(root, "regression")
    found = load(root, "answers")  # a workspace may hold recipes that its task has no use for
    assert not found.in_all
    message = r"base_models/answers\.toml: .*no numbers.*for regression use sequence_classifier, ffnn or linear"
    with pytest.raises(UserError, match=message):
        found.refuse_unopenable()
    with pytest.raises(UserError, match=message):
        found.build()


def test_a_generator_asks_in_the_words_of_the_task(root: Path) -> None:
    write(root, "answers", GENERATOR)
    prompts = set()
    for task in ("multilabel", "multiclass", "ordinal"):
        of_task(root, task)
        found = load(root, "answers").settings
        assert isinstance(found, LabelGeneratorSettings)
        prompts.add(found.prompt)
        assert ("{grades}" in found.prompt) == (task == "ordinal")
    assert len(prompts) == 3


@pytest.mark.parametrize(
    ("setting", "task", "key"),
    [
        ('decoding = "generate"', "ordinal", "decoding: means nothing in ordinal"),
        ('prompt = "{grades} {text}"', "multiclass", "prompt: {grades} is for ordinal"),
        ('loss = "cumulative"', "ordinal", 'loss: "cumulative" is of another family'),
        ("label_smoothing = 0.1", "ordinal", "label_smoothing: means nothing in ordinal; it is for multilabel, binary"),
        ('label_smoothing = 0.1\nloss = "focal"', "multilabel", 'label_smoothing: of labels it is for loss "bce"'),
        ('label_smoothing = 0.1\ndecoding = "generate"', "multilabel", 'label_smoothing: is for decoding = "slots"'),
        ('r_drop = 1.0\ndecoding = "generate"', "multilabel", 'r_drop: is for decoding = "slots"'),
        ("head_dropouts = 2", "multilabel", "head_dropouts: unknown key"),
        ('class_weights = "balanced"', "ordinal", "class_weights: means nothing in ordinal"),
    ],
)
def test_settings_of_a_generator_that_another_task_has(root: Path, setting: str, task: str, key: str) -> None:
    write(root, "answers", f"{GENERATOR}{setting}\n")
    of_task(root, task)
    with pytest.raises(DeclarationError) as refused:
        load(root, "answers")
    assert f"settings.{key}" in str(refused.value)


TUNED = 'family = "sequence_classifier"\n[settings]\ncheckpoint = "org/small"\n'


@pytest.mark.parametrize(
    ("settings", "task", "key"),
    [
        (
            "r_drop = 1.0",
            "regression",
            "r_drop: means nothing in regression; it is for multilabel, binary and multiclass",
        ),
        ("noisy_rows = 0.5", "ordinal", "noisy_rows: means nothing in ordinal"),
        ("adversarial_epsilon = 0.5", "multilabel", "adversarial_epsilon: means nothing without adversarial"),
        ("adversarial_from_epoch = 2", "multilabel", "adversarial_from_epoch: means nothing without adversarial"),
        (
            'adversarial = "awp"\nadversarial_from_epoch = 4\nepochs = 3',
            "multilabel",
            "adversarial_from_epoch: is 4, and there are 3 epochs",
        ),
        ('adversarial = "fgm"\nadaptation = "frozen"', "multilabel", 'adversarial: "fgm" changes the embedded tokens'),
        ('adversarial = "fgm"\nfrozen_layers = 2', "multilabel", "with frozen_layers = 2 they are frozen"),
        ('adversarial = "pgd"', "multilabel", 'adversarial: found "pgd", allowed: fgm, awp'),
        ('layer_decay = 0.9\nadaptation = "frozen"', "multilabel", 'layer_decay: adaptation = "frozen"'),
        ("layer_decay = 1.1", "multilabel", "layer_decay: found 1.1, should be less than or equal to 1"),
        ("ema = 1.0", "multilabel", "ema: found 1.0, should be less than 1"),
        ("noisy_rows = -1", "multilabel", "noisy_rows: found -1, should be greater than or equal to 0"),
        ("head_dropout_rate = 0.5", "multilabel", "head_dropout_rate: means nothing without head_dropouts"),
        ("head_dropout_rate = 1.0", "multilabel", "head_dropout_rate: found 1.0, should be less than 1"),
    ],
)
def test_a_method_that_would_have_nothing_to_do_is_refused_by_name(
    root: Path, settings: str, task: str, key: str
) -> None:
    write(root, "tuned", f"{TUNED}{settings}\n")
    of_task(root, task)
    with pytest.raises(DeclarationError) as refused:
        load(root, "tuned")
    assert key in str(refused.value)


def test_an_attack_on_weights_needs_no_embeddings(root: Path) -> None:
    write(root, "tuned", f'{TUNED}adversarial = "awp"\nfrozen_layers = 2\n')
    load(root, "tuned")
