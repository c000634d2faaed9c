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
from compete.base_models.losses import positive_weights
from compete.base_models.validation_split import RowNumbers, validation_split
from compete.logits import sigmoid

Encoded = Sequence[NDArray[np.int64]]


class Network(nn.Module):
    """Token numbers in, one logit per label out.

    The mean over the tokens says what a text is about, the maximum keeps a single strong word that the mean
    of a long text would drown. Both are brought to one scale, and reach the logits through the hidden layers
    and directly (wide and deep, Cheng et al. 2016): through hidden layers alone, six thousand posts do not
    teach it the rare labels.
    """

    def __init__(self, settings: FeedForwardSettings, n_tokens: int, n_labels: int) -> None:
        super().__init__()
        self.token_dropout = settings.token_dropout
        self.embedding = nn.Embedding(n_tokens + 1, settings.embedding_size, padding_idx=0)
        # Row 0, the hidden token's, is drawn as well: `padding_idx` leaves it out of what is pooled.
        nn.init.normal_(self.embedding.weight, std=0.1)
        width = 2 * settings.embedding_size
        self.scale = nn.BatchNorm1d(width)
        self.direct = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(width, n_labels))
        layers: list[nn.Module] = []
        for size in settings.hidden:
            layers += [nn.Dropout(settings.dropout), nn.Linear(width, size), nn.BatchNorm1d(size), nn.ReLU()]
            width = size
        self.deep = nn.Sequential(*layers, nn.Dropout(settings.dropout), nn.Linear(width, n_labels))

    def forward(self, tokens: Tensor, starts: Tensor) -> Tensor:
        """Logits, shape (n_texts, n_labels); the texts' tokens lie end to end, text i from starts[i]."""
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
    labels: NDArray[np.int8],
    context: FitContext,
) -> list[Network]:
    """The members, each at the epoch with the lowest loss on its own validation rows."""
    targets = torch.from_numpy(labels.astype(np.float32))
    networks = []
    for member in range(settings.members):
        seed = int(np.random.SeedSequence([context.seed, member]).generate_state(1)[0])
        fitted, validation = validation_split(texts, labels, settings.validation_share, seed)
        with _reproducible(seed, context.threads):
            network = Network(settings, n_tokens, labels.shape[1])
            _train_member(settings, network, encoded, targets, fitted, validation, context, member)
        networks.append(network)
    return networks


def write_networks(networks: Sequence[Network], path: Path) -> None:
    """The members' weights in one safetensors file."""
    weights = {f"{n}.{name}": w for n, network in enumerate(networks) for name, w in network.state_dict().items()}
    save_file(weights, path)


def read_networks(
    settings: FeedForwardSettings, path: Path, n_tokens: int, n_labels: int, threads: int
) -> list[Network]:
    """What `write_networks` wrote, ready to predict."""
    torch.set_num_threads(threads)
    weights = load_file(path)
    networks = []
    for member in range(settings.members):
        network = Network(settings, n_tokens, n_labels)
        mine = {name.removeprefix(f"{member}."): w for name, w in weights.items() if name.startswith(f"{member}.")}
        network.load_state_dict(mine)
        networks.append(network.eval())
    return networks


def probabilities(networks: Sequence[Network], encoded: Encoded, batch_size: int) -> NDArray[np.float32]:
    """Mean probabilities of the nets, shape (len(encoded), n_labels)."""
    logits = np.stack([_logits(network, encoded, batch_size).numpy() for network in networks]).astype(np.float64)
    return np.asarray(sigmoid(logits).mean(axis=0), dtype=np.float32)


def _train_member(
    settings: FeedForwardSettings,
    network: Network,
    encoded: Encoded,
    targets: Tensor,
    fitted: RowNumbers,
    validation: RowNumbers,
    context: FitContext,
    member: int,
) -> None:
    loss_of = nn.BCEWithLogitsLoss(pos_weight=positive_weights(targets[fitted].numpy(), settings.class_weights))
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=settings.plateau_factor, patience=settings.plateau_patience
    )
    validation_texts = [encoded[row] for row in validation]
    best_loss, best_weights = math.inf, copy.deepcopy(network.state_dict())
    for epoch in range(1, settings.epochs + 1):
        rate = optimiser.param_groups[0]["lr"]
        train_loss = _train_epoch(network, optimiser, loss_of, encoded, targets, fitted, settings.batch_size)
        validation_loss = float(
            loss_of(_logits(network, validation_texts, settings.eval_batch_size), targets[validation])
        )
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
    loss_of: nn.BCEWithLogitsLoss,
    encoded: Encoded,
    targets: Tensor,
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
        loss = loss_of(network(*_end_to_end([encoded[row] for row in rows])), targets[rows])
        loss.backward()
        optimiser.step()
        total += float(loss.detach()) * len(rows)
    return total / len(fitted)


def _logits(network: Network, encoded: Encoded, batch_size: int) -> Tensor:
    """Logits, shape (len(encoded), n_labels), of the net as it predicts."""
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
