"""Optional methods of a training that other settings leave nothing to do for, each by the setting's name."""

from __future__ import annotations

from compete.base_models.pretrained.settings import TransformerSettings
from compete.base_models.task_losses import settled_loss
from compete.competition.task import KINDS, TaskName
from compete.declarations import Problem


def refused_methods(
    settings: TransformerSettings, task: TaskName, *, adaptation: str, frozen_layers: int = 0
) -> list[Problem]:
    """What of the settings cannot have the effect that it promises."""
    problems = _refused_adversary(settings, adaptation, frozen_layers)
    if settings.layer_decay != 1 and adaptation == "frozen":
        problems.append(
            Problem("layer_decay", 'adaptation = "frozen" trains the head alone, and no layer has a rate. Leave it out')
        )
    loss = settled_loss(settings.loss, task)
    if settings.label_smoothing and KINDS[task] == "labels" and loss != "bce":
        problems.append(
            Problem("label_smoothing", f'of labels it is for loss "bce", and loss is "{loss}". Leave one of them out')
        )
    return problems


def _refused_adversary(settings: TransformerSettings, adaptation: str, frozen_layers: int) -> list[Problem]:
    if settings.adversarial is None:
        more = {
            "adversarial_epsilon": settings.adversarial_epsilon is not None,
            "adversarial_from_epoch": settings.adversarial_from_epoch != 1,
        }
        why = 'means nothing without adversarial = "fgm" or "awp"'
        return [Problem(name, why) for name, is_set in more.items() if is_set]
    problems = []
    if settings.adversarial == "fgm" and (adaptation == "frozen" or frozen_layers):
        why = f"frozen_layers = {frozen_layers}" if frozen_layers else 'adaptation = "frozen"'
        problems.append(
            Problem(
                "adversarial",
                f'"fgm" changes the embedded tokens, and with {why} they are frozen, and so is what first reads them: '
                'there is nothing to perturb. Use "awp", which changes the weights that are trained, or leave it out',
            )
        )
    if settings.adversarial_from_epoch > settings.epochs:
        problems.append(
            Problem(
                "adversarial_from_epoch",
                f"is {settings.adversarial_from_epoch}, and there are {settings.epochs} epochs: it would never begin",
            )
        )
    return problems
