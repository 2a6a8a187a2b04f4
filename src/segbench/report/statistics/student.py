"""Student's t for differences of means: errors, p-values, intervals and power."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from segbench.arrays import Values

ALPHA, POWER = 0.05, 0.8


def satterthwaite(parts: ArrayLike, freedoms: ArrayLike) -> tuple[Values, Values]:
    """Standard error and degrees of freedom of a sum of independent estimates of variance.

    Args:
        parts: ``(k, …)`` variances; a part that is NaN is not there.
        freedoms: ``(k, …)`` degrees of freedom of each.

    Source:
        Satterthwaite 1946, doi:10.2307/3002019.
    """
    parts, freedoms = np.asarray(parts, np.float64), np.asarray(freedoms, np.float64)
    variance = np.where(np.isnan(parts).all(axis=0), np.nan, np.nansum(parts, axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        df = variance**2 / np.nansum(parts**2 / freedoms, axis=0)
    fallback = np.where(np.isnan(parts), np.inf, freedoms).min(axis=0)
    return np.sqrt(variance), np.where(variance == 0, fallback, df)


def student_p(difference: ArrayLike, error: ArrayLike, df: ArrayLike) -> Values:
    """Two-sided p of differences with their standard errors; 1 where there is no difference."""
    difference = np.abs(np.asarray(difference, np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stats.t.sf(difference / error, df)
    return np.where(difference == 0, 1.0, p)


def holm(p: ArrayLike, families: int = 1) -> Values:
    """p-values ``(k,)`` with Holm's correction for as many tests as are not NaN.

    They are multiplied by the number of ``families`` of tests (Bonferroni).

    statsmodels gives the same numbers, and collects garbage at each call: 0.1 s with torch loaded.

    Source:
        Holm 1979, Scandinavian Journal of Statistics 6, 65–70.
    """
    adjusted = np.array(p, np.float64)
    there = np.flatnonzero(~np.isnan(adjusted))
    order = there[np.argsort(adjusted[there], kind="stable")]
    larger = np.maximum.accumulate(adjusted[order] * np.arange(len(order), 0, -1)) * families
    adjusted[order] = np.minimum(larger, 1.0)
    return adjusted


def half_interval(error: ArrayLike, df: ArrayLike, shares: ArrayLike) -> Values:
    """Half the width of a difference's 95 % interval, adjusted for having been picked out.

    Intervals of chosen differences hold the truth less often than 95 %: those that are called
    different are the ones that came out large. At a level of 1 − 0.05 × (chosen / all), of the
    intervals of the chosen ones 5 % on average miss.

    Args:
        error: the standard errors of the differences.
        df: their degrees of freedom.
        shares: the fraction of all pairs of which the same is said.

    Source:
        Benjamini & Yekutieli 2005, doi:10.1198/016214504000001907.
    """
    half: Values = stats.t.ppf(1 - ALPHA * np.asarray(shares) / 2, df) * np.asarray(error)
    return half


def margin_p(
    difference: ArrayLike, error: ArrayLike, df: ArrayLike, margin: float | None
) -> Values:
    """p-values that differences (≥ 0) are not smaller than a margin; NaN without a margin.

    Two one-sided t tests, of which the one on the side of the difference has the larger p.

    Source:
        Schuirmann 1987, doi:10.1007/BF01068419.
    """
    if margin is None:
        return np.full(np.shape(difference), np.nan)
    room = margin - np.asarray(difference, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        p: Values = stats.t.sf(room / np.asarray(error, np.float64), df)
    return p


def missed(df: ArrayLike, shift: ArrayLike, critical: ArrayLike) -> Values:
    """The probability that noncentral t with this ``shift`` stays below ``critical``.

    Where SciPy's function fails, for large shifts, the error's own spread decides alone.
    """
    df, shift, critical = (np.asarray(each, np.float64) for each in (df, shift, critical))
    found = special.nctdtr(df, shift, critical)
    without_noise = stats.chi2.sf(df * (shift / critical) ** 2, df)
    return np.asarray(np.where(np.isfinite(found), found, without_noise))


def detectable(error: ArrayLike, df: ArrayLike, tests: int) -> Values:
    """The difference that one of ``tests`` two-sided t tests finds with 80 % power.

    The noncentral t distribution is solved for it, with α = 0.05 / tests (Bonferroni, Holm's
    strictest step). The true standard error is as often above as below what is taken for it: of
    few degrees of freedom an estimate is mostly too small.
    """
    error, df = np.broadcast_arrays(np.asarray(error, np.float64), np.asarray(df, np.float64))
    error = error * np.sqrt(df / stats.chi2.ppf(0.5, df))
    critical = stats.t.ppf(1 - ALPHA / tests / 2, df)
    low, high = np.zeros(df.shape), 2 * critical + 10  # standard errors: too few, and enough
    for _ in range(40):  # halves what is left to 1e-11
        middle = (low + high) / 2
        enough = missed(df, middle, critical) <= 1 - POWER
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray(high * error, np.float64)
