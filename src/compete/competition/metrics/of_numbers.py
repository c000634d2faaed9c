"""Metrics of numbers (n_rows, n_targets): errors in the targets' own units, and correlations."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics.metric import (
    CONSTANT,
    Floats,
    Predicted,
    Truth,
    mean_of_rows,
    mean_of_sums,
    named,
)
from compete.errors import DataError


def _squared_errors(truth: Truth, predicted: Predicted) -> Floats:
    return np.asarray((_numbers(truth) - _numbers(predicted)) ** 2)


def _numbers(values: Truth | Predicted) -> Floats:
    return np.asarray(values, dtype=np.float64)


def _mean_squared_error_of_rows(truth: Truth, predicted: Predicted) -> Floats:
    return np.asarray(_squared_errors(truth, predicted).mean(axis=1))


def _root_of_mean(totals: Floats) -> Floats:
    return np.sqrt(mean_of_sums(totals))


def _squared_errors_and_one(truth: Truth, predicted: Predicted) -> Floats:
    """(n_rows, n_targets + 1): squared errors, and one."""
    return np.column_stack([_squared_errors(truth, predicted), np.ones(len(truth))])


def _mean_of_roots(totals: Floats) -> Floats:
    return np.asarray(np.sqrt(totals[:, :-1] / totals[:, -1:]).mean(axis=1))


def _absolute_error_of_rows(truth: Truth, predicted: Predicted) -> Floats:
    return np.asarray(np.abs(_numbers(truth) - _numbers(predicted)).mean(axis=1))


def _squared_log_error_of_rows(truth: Truth, predicted: Predicted) -> Floats:
    """Of log(1 + number); a prediction below 0 counts as 0, below which no target lies."""
    if np.any(_numbers(truth) < 0):
        raise DataError("RMSLE is not defined here: a target is below 0 in a row that is scored")
    logs = np.log1p(_numbers(truth)) - np.log1p(np.maximum(_numbers(predicted), 0.0))
    return np.asarray((logs**2).mean(axis=1))


def _not_constant(title: str, truth: Truth) -> Floats:
    """The truth as float64; DataError if a target is the same in every row."""
    numbers = _numbers(truth)
    if len(numbers) == 0 or np.any(numbers.min(axis=0) == numbers.max(axis=0)):
        raise DataError(f"{title} is not defined here: a target is the same in every row that is scored")
    return numbers


def _standardised(numbers: Floats) -> Floats:
    """Every column with mean 0 and deviation 1, so that sums of squares lose no digits; zeros for a constant."""
    centred = numbers - numbers.mean(axis=0)
    same = numbers.min(axis=0) == numbers.max(axis=0)
    deviation = np.where(same, 1.0, centred.std(axis=0))
    return np.where(same, 0.0, centred / deviation)


def _means(totals: Floats, n: int) -> list[Floats]:
    """Means (draws, n_targets) of n statistics per target, the last column of the totals being the rows."""
    return np.split(totals[:, :-1] / totals[:, -1:], n, axis=1)


def _r2_sums(truth: Truth, predicted: Predicted) -> Floats:
    """(n_rows, 3 n_targets + 1): squared errors, the truth and its square, of standardised targets, and one."""
    numbers = _not_constant("R2", truth)
    standard = _standardised(numbers)
    errors = _squared_errors(truth, predicted) / numbers.var(axis=0)
    return np.column_stack([errors, standard, standard**2, np.ones(len(truth))])


def _r2(totals: Floats) -> Floats:
    """Mean over targets of 1 - squared errors / variance of the truth."""
    errors, mean, square = _means(totals, 3)
    variance = square - mean**2
    defined = variance > CONSTANT * square
    explained = 1 - np.divide(errors, variance, out=np.full(errors.shape, np.nan), where=defined)
    return np.asarray(explained.mean(axis=1))


def _pearson_sums(truth: Truth, predicted: Predicted) -> Floats:
    """(n_rows, 5 n_targets + 1): truth, prediction, their squares and product, all standardised, and one."""
    true = _standardised(_not_constant("Pearson correlation", truth))
    guess = _standardised(_numbers(predicted))
    return np.column_stack([true, guess, true**2, guess**2, true * guess, np.ones(len(truth))])


def _pearson(totals: Floats) -> Floats:
    """Mean over targets.

    A constant prediction has correlation 0: it says of no row that it is higher than another, which is what a
    prediction by chance is worth on average.
    """
    mean_true, mean_guess, square_true, square_guess, product = _means(totals, 5)
    var_true, var_guess = square_true - mean_true**2, square_guess - mean_guess**2
    correlation = _quotient(
        product - mean_true * mean_guess,
        np.where(var_true > CONSTANT * square_true, var_true, 0.0),
        np.where(var_guess > CONSTANT * square_guess, var_guess, 0.0),
    )
    return np.asarray(correlation.mean(axis=1))


def _quotient(covariance: Floats, var_true: Floats, var_guess: Floats) -> Floats:
    """Correlations: NaN where the truth does not vary, 0 where only the prediction does not."""
    product = np.sqrt(np.maximum(var_true, 0.0) * np.maximum(var_guess, 0.0))
    found = np.divide(covariance, product, out=np.zeros(covariance.shape), where=product > 0)
    return np.where(var_true > 0, np.clip(found, -1.0, 1.0), np.nan)


def _spearman_sums(truth: Truth, predicted: Predicted) -> Floats:
    """(n_rows, 3 n_targets + 1): values of the ranks' covariance and variances, and one.

    Ranks are shares of rows below, ties counted half, so that their mean is 1/2. Which rank a row has depends on all
    rows: the values are those of the influence function, in which a row moves its own product of ranks and the ranks
    of all rows above it (Croux and Dehon 2010, "Influence functions of the Spearman and Kendall correlation measures").
    """
    true, guess = _not_constant("Spearman correlation", truth), _numbers(predicted)
    columns = [_rank_values(true[:, target], guess[:, target]) for target in range(true.shape[1])]
    covariances, of_truth, of_guess = (np.column_stack(part) for part in zip(*columns, strict=True))
    return np.column_stack([covariances, of_truth, of_guess, np.ones(len(true))])


def _rank_values(true: Floats, guess: Floats) -> tuple[Floats, Floats, Floats]:
    """Values, each (n_rows,), whose means are the covariance of the ranks and the variances of either."""
    place_true, place_guess = (np.unique(column, return_inverse=True)[1] for column in (true, guess))
    rank_true, rank_guess = _share_below(place_true), _share_below(place_guess)
    return (
        _product_values(place_true, rank_true, place_guess, rank_guess),
        _product_values(place_true, rank_true, place_true, rank_true),
        _product_values(place_guess, rank_guess, place_guess, rank_guess),
    )


def _share_below(place: NDArray[np.intp]) -> Floats:
    counts = np.bincount(place)
    return np.asarray(((np.cumsum(counts) - counts / 2) / len(place))[place])


def _product_values(
    first: NDArray[np.intp],
    rank_first: Floats,
    second: NDArray[np.intp],
    rank_second: Floats,
) -> Floats:
    """Values whose mean is mean(rank_first * rank_second) - 1/4."""
    product = rank_first * rank_second
    moved = _mean_above(first, rank_second) + _mean_above(second, rank_first)
    return np.asarray(product + moved - 2 * product.mean() - 0.25)


def _mean_above(place: NDArray[np.intp], weights: Floats) -> Floats:
    """For every row the sum of the weights of the rows that lie above it, of equal ones half, divided by the rows."""
    of_place = np.bincount(place, weights=weights)
    return np.asarray(((of_place.sum() - np.cumsum(of_place) + of_place / 2) / len(place))[place])


def _spearman(totals: Floats) -> Floats:
    """Mean over targets of the correlation of ranks; 0 of a constant prediction, as in `_pearson`."""
    covariance, of_truth, of_guess = _means(totals, 3)
    return np.asarray(_quotient(covariance, of_truth, np.where(of_guess > CONSTANT, of_guess, 0.0)).mean(axis=1))


METRICS_OF_NUMBERS = (
    named("rmse", partial(mean_of_rows, _mean_squared_error_of_rows), _root_of_mean, highest=np.inf),
    named("mcrmse", _squared_errors_and_one, _mean_of_roots, highest=np.inf),
    named("mae", partial(mean_of_rows, _absolute_error_of_rows), mean_of_sums, highest=np.inf),
    named("rmsle", partial(mean_of_rows, _squared_log_error_of_rows), _root_of_mean, highest=np.inf),
    named("r2", _r2_sums, _r2, lowest=-np.inf),
    named("pearson", _pearson_sums, _pearson, lowest=-1.0),
    named("spearman", _spearman_sums, _spearman, lowest=-1.0),
)
