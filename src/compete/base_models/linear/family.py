"""Bag-of-n-grams models: TF-IDF or NB-SVM features under one logistic or ridge regression per output.

They train in seconds on a CPU and err differently from a network, which is what a stack asks of a member.
scikit-learn is imported when training starts, so that reading a recipe stays quick.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compete.base_models.class_weights import positive_weight
from compete.base_models.families import FamilyDefaults, FitContext, Needs
from compete.base_models.linear.settings import LinearSettings
from compete.base_models.linear.tokens import normalise, tokenise
from compete.base_models.pseudo_labels import SoftRows
from compete.base_models.row_weights import row_weights
from compete.competition.shape import Targets
from compete.competition.task import Kind, are_probabilities
from compete.competition.text_columns import as_one
from compete.logits import sigmoid

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


_WEIGHTS, _VOCABULARY = "weights.safetensors", "vocabulary.json"


class Linear(FamilyDefaults):
    """Logistic regression of every label or class, ridge regression of every target, on n-grams."""

    Settings: ClassVar[type[LinearSettings]] = LinearSettings
    version: ClassVar[int] = 2
    imports: ClassVar[tuple[str, ...]] = ("sklearn.feature_extraction.text", "sklearn.linear_model")

    learns_soft_rows: ClassVar[bool] = True

    def __init__(self, settings: LinearSettings) -> None:
        self.settings = settings

    @classmethod
    def needs(cls, settings: LinearSettings) -> Needs:
        """Nothing: it starts from the texts alone."""
        return Needs()

    def fit(self, texts: Sequence[str], labels: Targets, context: FitContext) -> FittedLinear:
        """Train on `texts` and what is true of them, shape (len(texts), n_outputs): 0/1, or numbers."""
        vectorisers = self._vectorisers()
        read = [as_one(text) for text in texts]
        features = _side_by_side([vectoriser.fit_transform(read) for vectoriser in vectorisers])
        ratios = self._ratios(features, _positives(labels, context.kind))
        weights = row_weights(texts, labels, self.settings.noisy_rows, context)
        further = None
        if context.soft is not None:
            further = _features(vectorisers, [as_one(text) for text in context.soft.texts])
        coefficients = np.zeros((features.shape[1], labels.shape[1]))
        intercepts = np.zeros(labels.shape[1])
        for output, targets in enumerate(labels.T):
            ratio = None if ratios is None else ratios[output]
            own = None if weights is None else weights[:, output]
            rows = Rows.of(features, targets, own, context.soft, further, output, context.kind)
            found = self._fit_label(rows, ratio) if are_probabilities(context.kind) else self._fit_target(rows, ratio)
            coefficients[:, output], intercepts[output] = found
            context.progress((output + 1) / labels.shape[1])
        return FittedLinear(vectorisers, coefficients, intercepts, context.kind, context.grades)

    def load(self, folder: Path, context: FitContext) -> FittedLinear:
        """What `save` of a fitted model wrote into `folder`."""
        from safetensors.numpy import load_file

        weights = load_file(folder / _WEIGHTS)
        vocabularies = json.loads((folder / _VOCABULARY).read_text(encoding="utf-8"))
        vectorisers = self._vectorisers()
        for number, (vectoriser, vocabulary) in enumerate(zip(vectorisers, vocabularies, strict=True)):
            vectoriser.vocabulary_ = {term: column for column, term in enumerate(vocabulary)}
            vectoriser.fixed_vocabulary_ = False
            vectoriser.idf_ = weights[f"idf_{number}"]
        return FittedLinear(vectorisers, weights["coefficients"], weights["intercepts"], context.kind, context.grades)

    def _vectorisers(self) -> list[Any]:
        from sklearn.feature_extraction.text import TfidfVectorizer

        settings = self.settings
        common = {"min_df": settings.min_df, "sublinear_tf": settings.sublinear_tf, "lowercase": False}
        found = []
        if settings.word_ngrams:
            words = {"tokenizer": tokenise, "token_pattern": None, "ngram_range": settings.word_ngrams}
            found.append(TfidfVectorizer(**words, **common))
        if settings.char_ngrams:
            chars = {"analyzer": settings.char_analyzer, "ngram_range": settings.char_ngrams}
            found.append(TfidfVectorizer(preprocessor=normalise, **chars, **common))
        return found

    def _ratios(self, features: csr_matrix, positives: NDArray[np.bool_]) -> NDArray[np.float64] | None:
        """What scales each feature for each output, (n_outputs, n_features): log-count ratios. None: nothing does.

        r = log((p / |p|_1) / (q / |q|_1)), p and q = alpha + the positive and negative texts that hold the
        n-gram (Wang and Manning 2012, "Baselines and Bigrams", section 2.1, with their binarised counts).
        """
        if self.settings.weighting == "tfidf":
            return None
        present = features.sign().T
        positive = self.settings.alpha + present @ positives
        negative = self.settings.alpha + present @ ~positives
        ratios = np.log(positive / positive.sum(axis=0)) - np.log(negative / negative.sum(axis=0))
        return np.ascontiguousarray(ratios.T)  # they are looked up by feature, millions of times

    def _fit_label(self, rows: Rows, ratio: NDArray[np.float64] | None) -> tuple[NDArray[np.float64], float]:
        """Coefficients on the unscaled features, shape (n_features,), and the intercept of one label."""
        from sklearn.linear_model import LogisticRegression

        features, (positives, negatives) = rows.features, rows.counts
        if positives == 0 or negatives == 0:  # nothing to tell apart: the rate of Laplace's rule of succession
            return np.zeros(features.shape[1]), float(np.log((positives + 1) / (negatives + 1)))
        weights = {0: 1.0, 1: positive_weight(positives, negatives, self.settings.class_weights)}
        # Of sparse rows, liblinear's dual coordinate descent finds the optimum in a third of the primal's time; so
        # tight, probabilities differ in the fourth digit, and its random order is always the same.
        model = LogisticRegression(
            C=self.settings.C,
            solver="liblinear",
            dual=True,
            tol=1e-2,
            class_weight=weights,
            max_iter=10_000,
            random_state=0,
        )
        model.fit(_scaled(features, ratio), rows.targets, sample_weight=rows.weights)
        return _unscaled(model.coef_[0], ratio), float(model.intercept_[0])

    def _fit_target(self, rows: Rows, ratio: NDArray[np.float64] | None) -> tuple[NDArray[np.float64], float]:
        """Coefficients on the unscaled features, shape (n_features,), and the intercept of one target's numbers."""
        from sklearn.linear_model import Ridge

        # Conjugate gradients, sevenfold as quick as SAG; least squares in the place of the logistic loss.
        model = Ridge(alpha=1 / self.settings.C, solver="sparse_cg", tol=1e-3)
        model.fit(_scaled(rows.features, ratio), rows.targets.astype(np.float64), sample_weight=rows.weights)
        return _unscaled(model.coef_, ratio), float(model.intercept_)


@dataclass(frozen=True)
class Rows:
    """What one output is fitted on."""

    features: csr_matrix
    targets: NDArray[Any]
    """(n_rows,): 0/1, or numbers."""
    weights: NDArray[np.float32] | None
    """(n_rows,); None: all rows count the same."""
    counts: tuple[int, int]
    """Positives and negatives that are known."""

    @classmethod
    def of(
        cls,
        features: csr_matrix,
        targets: NDArray[Any],
        weights: NDArray[np.float32] | None,
        soft: SoftRows | None,
        further: csr_matrix | None,
        output: int,
        kind: Kind,
    ) -> Rows:
        """The labelled rows, and behind them those that teachers speak for, with features `further`.

        Of probabilities such a row is two: a positive that counts as much as the teachers believe it, and a negative
        for the rest.
        """
        from scipy.sparse import vstack

        positives = int(targets.sum()) if are_probabilities(kind) else 0
        counts = (positives, len(targets) - positives)
        if soft is None or further is None:
            return cls(features, targets, weights, counts)
        known = np.ones(len(targets), dtype=np.float32) if weights is None else weights
        said = soft.targets[:, output]
        if not are_probabilities(kind):
            stacked = vstack([features, further], format="csr")
            return cls(stacked, np.append(targets, said), np.append(known, soft.weights), counts)
        stacked = vstack([features, further, further], format="csr")
        cells = np.concatenate([targets, np.ones(len(said)), np.zeros(len(said))]).astype(np.int8)
        return cls(stacked, cells, np.concatenate([known, soft.weights * said, soft.weights * (1 - said)]), counts)


@dataclass(frozen=True)
class FittedLinear:
    """Vectorisers, and what the regressions learnt on their features."""

    vectorisers: list[Any]
    coefficients: NDArray[np.float64]
    """(n_features, n_outputs), for the features of all vectorisers side by side."""
    intercepts: NDArray[np.float64]
    """(n_outputs,)."""
    kind: Kind
    grades: tuple[float, ...]

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Predictions, shape (len(texts), n_outputs): see `competition/task.py`."""
        if not texts:
            return np.zeros((0, len(self.intercepts)), dtype=np.float32)
        read = [as_one(text) for text in texts]
        raw = _features(self.vectorisers, read) @ self.coefficients + self.intercepts
        return self._predictions(raw).astype(np.float32)

    def _predictions(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.kind == "numbers":
            return raw
        if self.kind == "grades":
            return raw.clip(self.grades[0], self.grades[-1])
        # Classes one against the rest: on 12,088 posts in three classes a multinomial regression took over three times
        # as long for a log loss of 0.817 instead of 0.820 and a macro recall, at the rates of the classes, of 0.592
        # instead of 0.594.
        probabilities = sigmoid(raw)
        return probabilities if self.kind == "labels" else probabilities / probabilities.sum(axis=1, keepdims=True)

    def save(self, folder: Path, *, whole: bool) -> bool:
        """Vocabularies as JSON, weights as safetensors; small enough to be kept always."""
        from safetensors.numpy import save_file

        idf = {f"idf_{number}": np.asarray(v.idf_) for number, v in enumerate(self.vectorisers)}
        weights = {"coefficients": np.ascontiguousarray(self.coefficients), "intercepts": self.intercepts, **idf}
        save_file(weights, folder / _WEIGHTS)
        vocabularies = [_terms(vectoriser) for vectoriser in self.vectorisers]
        (folder / _VOCABULARY).write_text(json.dumps(vocabularies, ensure_ascii=False), encoding="utf-8")
        return True


def _positives(targets: Targets, kind: Kind) -> NDArray[np.bool_]:
    """Which rows the log-count ratios set against the others: those with the label or class, or above the mean."""
    return np.asarray(targets == 1 if are_probabilities(kind) else targets > targets.mean(axis=0))


def _scaled(features: csr_matrix, ratio: NDArray[np.float64] | None) -> csr_matrix:
    """Every column times its ratio (n_features,)."""
    if ratio is None:
        return features
    scaled = features.copy()
    scaled.data *= ratio[scaled.indices]
    return scaled


def _unscaled(coefficients: NDArray[np.float64], ratio: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """(x * r) @ w = x @ (r * w): with the ratio in the coefficients one product serves all outputs."""
    return coefficients if ratio is None else coefficients * ratio


def _terms(vectoriser: Any) -> list[str]:
    """The n-grams of a fitted vectoriser in the order of its columns."""
    return sorted(vectoriser.vocabulary_, key=vectoriser.vocabulary_.get)


def _features(vectorisers: Sequence[Any], texts: Sequence[str]) -> csr_matrix:
    """Sparse features of every vectoriser side by side, shape (len(texts), n_features)."""
    return _side_by_side([vectoriser.transform(texts) for vectoriser in vectorisers])


def _side_by_side(features: Sequence[csr_matrix]) -> csr_matrix:
    """Features of one text after the other, in the order of their columns: sorted once, not by every fit."""
    from scipy.sparse import hstack

    together = hstack(features, format="csr")
    together.sort_indices()
    return together
