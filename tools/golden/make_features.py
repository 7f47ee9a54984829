"""Writes tests/golden/features.json: Frechet and sliced Wasserstein distances of the features of synthetic_features.py, by NumPy and
SciPy alone. A few seconds.

    python3 tools/golden/make_features.py tests/golden/features.json     (Debian's python3-numpy, python3-scipy)
"""
import json
import platform
import sys

import numpy as np
import scipy
from scipy.linalg import sqrtm

from synthetic_features import features

# name, dim, (real seed, count, offset, scale), (fake seed, count, offset, scale)
CASES = [
    ("16 features, as many on each side", 16, (61, 400, 0.5, 1.0), (62, 400, 0.6, 1.2)),
    ("48 features, other counts", 48, (63, 350, 0.5, 1.0), (64, 503, 0.55, 1.1)),
]
DIRECTIONS = (65, 200)  # seed, count: rows of features(), made unit vectors
UNIFORM = 10_000  # directions of NumPy's own, whose mean is near that over all


def frechet(real, fake):
    one, two = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    shift = real.mean(axis=0) - fake.mean(axis=0)
    return float(shift @ shift + np.trace(one) + np.trace(two) - 2 * np.trace(sqrtm(one @ two).real))


def squared_wasserstein(one, two):
    """Of two samples on the line: the integral of the squared difference of their quantile functions, whose steps are at the multiples
    of 1/n and of 1/m."""
    n, m = len(one), len(two)
    ends = np.unique(np.concatenate([np.arange(1, n + 1) * m, np.arange(1, m + 1) * n]))  # in units of 1 / (n m)
    starts = np.concatenate([[0], ends[:-1]])
    gap = np.sort(one)[starts // m] - np.sort(two)[starts // n]
    return float(np.sum((ends - starts) * gap**2)) / (n * m)


def sliced_wasserstein(real, fake, axes):
    axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    return float(np.sqrt(np.mean([squared_wasserstein(real @ axis, fake @ axis) for axis in axes])))


def side(dim, values):
    rows = features(values[0], values[1], dim, *values[2:]).astype(np.float64)
    return dict(zip(("seed", "count", "offset", "scale"), values)), rows


def main(path):
    golden = {"versions": {"numpy": np.__version__, "scipy": scipy.__version__, "python": platform.python_version()},
              "directions": dict(zip(("seed", "count"), DIRECTIONS)), "cases": []}
    for name, dim, real_values, fake_values in CASES:
        (real_spec, real), (fake_spec, fake) = side(dim, real_values), side(dim, fake_values)
        axes = features(*DIRECTIONS, dim).astype(np.float64)
        uniform = np.random.RandomState(2020).standard_normal((UNIFORM, dim))
        golden["cases"].append({"name": name, "dim": dim, "real": real_spec, "fake": fake_spec, "frechet": frechet(real, fake),
                                "sliced_wasserstein": sliced_wasserstein(real, fake, axes),
                                "sliced_wasserstein_of_all": sliced_wasserstein(real, fake, uniform)})
    with open(path, "w") as file:
        json.dump(golden, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
