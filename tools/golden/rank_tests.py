#!/usr/bin/env python3
"""Golden values of the rank tests, the shifts and their intervals of tests/core/rank_tests_test.cpp.

p-values are SciPy's where it has the exact one (mannwhitneyu without ties), and else its permutation_test over all
permutations, or the normal approximation. Shifts are medians of all differences or means, and the
ends of their intervals those candidates at which a scan of the exact test turns, one for each end.

Made with Python 3.11, NumPy 1.24.2, SciPy 1.10.1 (Debian's packages): /usr/bin/python3 tools/golden/rank_tests.py
"""
import numpy as np
import scipy
from scipy import stats

NEW = [1.313, 1.127, 1.482, 1.071, 1.226, 1.038, 1.364, 1.195]
BASE = [1.052, 1.116, 0.983, 1.179, 1.024, 0.937, 1.098]
TIED_NEW = [3, 4, 4, 5, 6, 6, 7]
TIED_BASE = [1, 2, 3, 3, 4, 4]
DIFFERENCES = [0.313, -0.127, 0.482, 0.071, 0.226, -0.038, 0.364, 0.195, 0.113, 0.278]


def both(test):
    return test("greater"), test("less")


def mann_whitney(a, b, method):
    return lambda side: stats.mannwhitneyu(a, b, alternative=side, method=method).pvalue


def rank_sum(a, b):
    return stats.rankdata(np.concatenate([a, b]))[:len(a)].sum()


def exact_rank_sum(a, b):
    return both(lambda side: stats.permutation_test((a, b), rank_sum, n_resamples=np.inf, alternative=side).pvalue)


def ends(candidates, p_value, confidence):
    """The ends of the shifts that two one-sided tests of (1 - confidence) / 2 do not refuse."""
    candidates = np.unique(candidates)
    between = np.concatenate([[candidates[0] - 1], (candidates[1:] + candidates[:-1]) / 2, [candidates[-1] + 1]])
    kept = [i for i, at in enumerate(between) if min(p_value(at)) > (1 - confidence) / 2]
    low, high = min(kept), max(kept)
    return (-np.inf if low == 0 else candidates[low - 1], np.inf if high == len(candidates) else candidates[high])


def shift(a, b, confidence):
    candidates = np.subtract.outer(a, b).ravel()
    test = lambda at: both(mann_whitney(np.array(a) - at, b, "exact"))
    return np.median(candidates), *ends(candidates, test, confidence)


def paired_shift(d, confidence):
    d = np.array(d)
    rows, columns = np.triu_indices(len(d))
    candidates = (d[rows] + d[columns]) / 2
    test = lambda at: both(lambda side: stats.wilcoxon(d - at, mode="exact", alternative=side).pvalue)
    return np.median(candidates), *ends(candidates, test, confidence)


def long_samples():
    i = np.arange(40)
    return (i * 37 % 41) / 10 + 0.6, (i * 29 % 41) / 10


def main():
    print("SciPy", scipy.__version__)
    print("rank sum", both(mann_whitney(NEW, BASE, "exact")))
    print("rank sum, ties", exact_rank_sum(TIED_NEW, TIED_BASE))
    a, b = long_samples()
    print("rank sum, 40 and 40", both(mann_whitney(a, b, "asymptotic")))
    print("shift, 95 %", shift(NEW, BASE, 0.95))
    print("shift, 99 %", shift(NEW, BASE, 0.99))
    print("paired shift, 95 %", paired_shift(DIFFERENCES, 0.95))
    print("paired shift, 80 %", paired_shift(DIFFERENCES, 0.8))


if __name__ == "__main__":
    main()
