"""A text as some dozens of numbers: what can be counted in it, and its TF-IDF reduced by a truncated SVD."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compete.base_models.boosted.settings import BoostedSettings
from compete.base_models.linear.tokens import normalise, tokenise
from compete.base_models.row_features import row_features

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_WEIGHTS, _VOCABULARY = "text.safetensors", "vocabulary.json"


@dataclass(frozen=True)
class TextNumbers:
    """Vectorisers, and the directions that their n-grams are projected on."""

    vectorisers: list[Any]
    components: NDArray[np.float32]
    """(n_ngrams, n_components), for the n-grams of all vectorisers side by side."""

    @classmethod
    def fit(cls, settings: BoostedSettings, texts: Sequence[str], seed: int) -> TextNumbers:
        """Vocabulary, weights and directions of these texts alone."""
        from sklearn.decomposition import TruncatedSVD

        vectorisers = _vectorisers(settings)
        if not vectorisers:
            return cls([], np.zeros((0, 0), dtype=np.float32))
        ngrams = _side_by_side([vectoriser.fit_transform(texts) for vectoriser in vectorisers])
        svd = TruncatedSVD(min(settings.n_components, *ngrams.shape), random_state=seed).fit(ngrams)
        return cls(vectorisers, np.ascontiguousarray(svd.components_.T, dtype=np.float32))

    def of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(len(texts), n_counts + n_components)."""
        counted = row_features(texts)
        if not self.vectorisers or not texts:
            return np.hstack([counted, np.zeros((len(texts), self.components.shape[1]), dtype=np.float32)])
        ngrams = _side_by_side([vectoriser.transform(texts) for vectoriser in self.vectorisers])
        return np.hstack([counted, ngrams @ self.components])

    def save(self, folder: Path) -> None:
        """Vocabularies as JSON, the rest as safetensors."""
        from safetensors.numpy import save_file

        idf = {f"idf_{number}": np.asarray(v.idf_) for number, v in enumerate(self.vectorisers)}
        save_file({"components": self.components, **idf}, folder / _WEIGHTS)
        terms = [sorted(v.vocabulary_, key=v.vocabulary_.get) for v in self.vectorisers]
        (folder / _VOCABULARY).write_text(json.dumps(terms, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, settings: BoostedSettings, folder: Path) -> TextNumbers:
        """What `save` wrote."""
        from safetensors.numpy import load_file

        weights = load_file(folder / _WEIGHTS)
        vocabularies = json.loads((folder / _VOCABULARY).read_text(encoding="utf-8"))
        vectorisers = _vectorisers(settings)
        for number, (vectoriser, terms) in enumerate(zip(vectorisers, vocabularies, strict=True)):
            vectoriser.vocabulary_ = {term: column for column, term in enumerate(terms)}
            vectoriser.fixed_vocabulary_ = False
            vectoriser.idf_ = weights[f"idf_{number}"]
        return cls(vectorisers, weights["components"])


def _vectorisers(settings: BoostedSettings) -> list[Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    common = {
        "min_df": settings.min_df,
        "max_features": settings.max_ngrams,
        "sublinear_tf": True,
        "lowercase": False,
        "dtype": np.float32,
    }
    found = []
    if settings.word_ngrams:
        words = {"tokenizer": tokenise, "token_pattern": None, "ngram_range": settings.word_ngrams}
        found.append(TfidfVectorizer(**words, **common))
    if settings.char_ngrams:
        chars = {"analyzer": "char_wb", "ngram_range": settings.char_ngrams}
        found.append(TfidfVectorizer(preprocessor=normalise, **chars, **common))
    return found


def _side_by_side(ngrams: Sequence[csr_matrix]) -> csr_matrix:
    from scipy.sparse import hstack

    together = hstack(ngrams, format="csr")
    together.sort_indices()  # sums run in the order of the columns, whatever the order of the words
    return together
