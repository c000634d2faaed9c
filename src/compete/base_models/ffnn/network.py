"""The feed-forward net and its training; the only part of the family that needs torch."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from compete.base_models.families import FitContext
from compete.base_models.ffnn.settings import FeedForwardSettings
from compete.base_models.losses import Loss
from compete.base_models.objectives import Objective
from compete.base_models.pseudo_labels import SoftRows
from compete.base_models.row_weights import row_weights
from compete.base_models.validation_split import RowNumbers, strata_of, validation_split
from compete.competition.shape import Targets

Encoded = Sequence[NDArray[np.int64]]


class Network(nn.Module):
    """Token numbers in, raw outputs out: one logit per label, or what the task has (`objectives`).

    The mean over the tokens says what a text is about, the maximum keeps a single strong word that the mean
    of a long text would drown. Both are brought to one scale, and reach the logits through the hidden layers
    and directly (wide and deep, Cheng et al. 2016): through hidden layers alone, six thousand posts do not
    teach it the rare labels.
    """

    def __init__(self, settings: FeedForwardSettings, n_tokens: int, width: int) -> None:
        super().__init__()
        self.token_dropout = settings.token_dropout
        self.embedding = nn.Embedding(n_tokens + 1, settings.embedding_size, padding_idx=0)
        # Row 0, the hidden token's, is drawn as well: `padding_idx` leaves it out of what is pooled.
        nn.init.normal_(self.embedding.weight, std=0.1)
        size_in = 2 * settings.embedding_size
        self.scale = nn.BatchNorm1d(size_in)
        self.direct = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(size_in, width))
        layers: list[nn.Module] = []
        for size in settings.hidden:
            layers += [nn.Dropout(settings.dropout), nn.Linear(size_in, size), nn.BatchNorm1d(size), nn.ReLU()]
            size_in = size
        self.deep = nn.Sequential(*layers, nn.Dropout(settings.dropout), nn.Linear(size_in, width))

    def forward(self, tokens: Tensor, starts: Tensor) -> Tensor:
        """Raw outputs, shape (n_texts, width); the texts' tokens lie end to end, text i from starts[i]."""
        if self.training:
            tokens = tokens.masked_fill(torch.rand(tokens.shape) < self.token_dropout, 0)
        pooled = [
            functional.embedding_bag(tokens, self.embedding.weight, starts, mode=mode, padding_idx=0)
            for mode in ("mean", "max")
        ]
        scaled = self.scale(torch.cat(pooled, dim=1))
        logits: Tensor = self.direct(scaled) + self.deep(scaled)
        return logits


def train(
    settings: FeedForwardSettings,
    texts: Sequence[str],
    encoded: Encoded,
    n_tokens: int,
    targets: Targets,
    objective: Objective,
    context: FitContext,
) -> list[Network]:
    """The members, each at the epoch with the lowest loss on its own validation rows."""
    soft = context.soft
    known = targets if soft is None else np.concatenate([targets, soft.targets])
    learnt = torch.from_numpy(objective.learnt(known))
    strata = strata_of(targets, context)
    networks = []
    for member in range(settings.members):
        seed = int(np.random.SeedSequence([context.seed, member]).generate_state(1)[0])
        fitted, validation = validation_split(texts, strata, settings.validation_share, seed)
        loss_of = objective.loss(targets[fitted], settings.class_weights, settings.label_smoothing)
        found = row_weights([texts[row] for row in fitted], targets[fitted], settings.noisy_rows, context)
        weights = _of_all(found, fitted, len(texts)) if soft is None else _with_soft(found, fitted, texts, soft, learnt)
        if soft is not None:
            # They choose no epoch and weigh no label: nothing is known of them.
            fitted = np.concatenate([fitted, len(texts) + np.arange(len(soft.texts))])
        with _reproducible(seed, context.threads):
            network = Network(settings, n_tokens, objective.width)
            _train_member(
                settings,
                network,
                loss_of,
                encoded,
                learnt,
                weights,
                fitted,
                validation,
                context,
                member,
            )
        networks.append(network)
    return networks


def _of_all(weights: NDArray[np.float32] | None, fitted: RowNumbers, count: int) -> Tensor | None:
    """Weights of the fitted rows by the number of the row among all; those that choose an epoch have none."""
    if weights is None:
        return None
    found = torch.ones(count, weights.shape[1])
    found[torch.from_numpy(fitted)] = torch.from_numpy(weights)
    return found


def _with_soft(
    weights: NDArray[np.float32] | None, fitted: RowNumbers, texts: Sequence[str], soft: SoftRows, learnt: Tensor
) -> Tensor:
    """The same with rows behind them that teachers speak for, (len(learnt), width)."""
    found = torch.ones(learnt.shape)
    labelled = _of_all(weights, fitted, len(texts))
    if labelled is not None:
        found[: len(texts)] = labelled
    found[len(texts) :] = torch.from_numpy(soft.weights)[:, None]
    return found


def write_networks(networks: Sequence[Network], path: Path) -> None:
    """The members' weights in one safetensors file."""
    weights = {f"{n}.{name}": w for n, network in enumerate(networks) for name, w in network.state_dict().items()}
    save_file(weights, path)


def read_networks(settings: FeedForwardSettings, path: Path, n_tokens: int, width: int, threads: int) -> list[Network]:
    """What `write_networks` wrote, ready to predict."""
    torch.set_num_threads(threads)
    weights = load_file(path)
    networks = []
    for member in range(settings.members):
        network = Network(settings, n_tokens, width)
        mine = {name.removeprefix(f"{member}."): w for name, w in weights.items() if name.startswith(f"{member}.")}
        network.load_state_dict(mine)
        networks.append(network.eval())
    return networks


def predictions(
    networks: Sequence[Network], encoded: Encoded, objective: Objective, batch_size: int
) -> NDArray[np.float32]:
    """Mean predictions of the nets, shape (len(encoded), n_outputs)."""
    raw = np.stack([_raw(network, encoded, batch_size).numpy() for network in networks]).astype(np.float64)
    return np.asarray(objective.predictions(raw).mean(axis=0), dtype=np.float32)


def _train_member(
    settings: FeedForwardSettings,
    network: Network,
    loss_of: Loss,
    encoded: Encoded,
    learnt: Tensor,
    weights: Tensor | None,
    fitted: RowNumbers,
    validation: RowNumbers,
    context: FitContext,
    member: int,
) -> None:
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=settings.plateau_factor, patience=settings.plateau_patience
    )
    validation_texts = [encoded[row] for row in validation]
    best_loss, best_weights = math.inf, copy.deepcopy(network.state_dict())
    for epoch in range(1, settings.epochs + 1):
        rate = optimiser.param_groups[0]["lr"]
        train_loss = _train_epoch(network, optimiser, loss_of, encoded, learnt, weights, fitted, settings.batch_size)
        validation_loss = float(loss_of(_raw(network, validation_texts, settings.eval_batch_size), learnt[validation]))
        if validation_loss < best_loss:
            best_loss, best_weights = validation_loss, copy.deepcopy(network.state_dict())
        plateau.step(validation_loss)
        losses = {"train_loss": train_loss, "validation_loss": validation_loss, "learning_rate": rate}
        context.curves.append({"member": member + 1, "epoch": epoch, **losses})
        context.progress((member + epoch / settings.epochs) / settings.members, f"loss {train_loss:.3f}")
    network.load_state_dict(best_weights)


def _train_epoch(
    network: Network,
    optimiser: torch.optim.Optimizer,
    loss_of: Loss,
    encoded: Encoded,
    learnt: Tensor,
    weights: Tensor | None,
    fitted: RowNumbers,
    batch_size: int,
) -> float:
    """One pass over the rows in random order; the mean training loss per row."""
    network.train()
    order = fitted[torch.randperm(len(fitted)).numpy()]
    total = 0.0
    # Rounded down, so that no batch is left with a single row, which batch normalisation cannot take.
    for rows in np.array_split(order, max(1, len(order) // batch_size)):
        optimiser.zero_grad()
        raw = network(*_end_to_end([encoded[row] for row in rows]))
        loss = loss_of(raw, learnt[rows], None if weights is None else weights[rows])
        torch.autograd.backward(loss)
        optimiser.step()
        total += float(loss.detach()) * len(rows)
    return total / len(fitted)


def _raw(network: Network, encoded: Encoded, batch_size: int) -> Tensor:
    """Raw outputs, shape (len(encoded), width), of the net as it predicts."""
    network.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(encoded), batch_size):
            batch = list(encoded[start : start + batch_size])
            # Every batch has the same shape: a product of another shape may round another way, and a text's
            # probability would depend on how many others are predicted with it.
            padding = [np.zeros(0, dtype=np.int64)] * (batch_size - len(batch))
            parts.append(network(*_end_to_end(batch + padding))[: len(batch)])
    return torch.cat(parts)


def _end_to_end(texts: Encoded) -> tuple[Tensor, Tensor]:
    """All tokens of the texts in one row, and where each text starts."""
    starts = np.cumsum([0, *(len(text) for text in texts[:-1])], dtype=np.int64)
    return torch.from_numpy(np.concatenate(texts)), torch.from_numpy(starts)


@contextmanager
def _reproducible(seed: int, threads: int) -> Iterator[None]:
    """The same numbers for the same seed and threads; the caller's random state and switches are put back."""
    was_deterministic, were_threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(were_threads)
        torch.use_deterministic_algorithms(was_deterministic)
