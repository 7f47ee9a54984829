"""Writes tests/golden/points.json: the squared MMD by its definition, the divergence of numpy.histogram2d's counts and distances from
the swiss roll's curve by SciPy's minimiser, of points from synthetic_features.py. Half a minute on one core.

    python3 tools/golden/make_points.py tests/golden/points.json     (Debian's python3-numpy, python3-scipy)
"""
import json
import math
import platform
import sys

import numpy as np
import scipy
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import cdist, pdist

from synthetic_features import features

# name, (real seed, count, offset, scale), (fake seed, count, offset, scale)
CASES = [
    ("shifted", (61, 700, 0.0, 1.0), (62, 500, 0.2, 1.1)),
    ("more real points than the bandwidth is of", (63, 2500, 0.1, 0.8), (64, 900, 0.0, 1.0)),
    ("few", (65, 30, 0.0, 1.0), (66, 25, 0.5, 0.5)),
]
BANDWIDTH_POINTS = 2000
PSEUDO_COUNT = 0.5


def bandwidth(real):
    some = real[np.arange(BANDWIDTH_POINTS) * len(real) // BANDWIDTH_POINTS] if len(real) > BANDWIDTH_POINTS else real
    return float(np.median(pdist(some)))


def squared_mmd(real, fake, sigma):
    def kernel(x, y):
        return np.exp(-cdist(x, y, "sqeuclidean") / (2 * sigma**2))

    def within(x):
        n = len(x)
        return (kernel(x, x).sum() - n) / (n * (n - 1))

    return float(within(real) + within(fake) - 2 * kernel(real, fake).mean())


def divergence(real, fake):
    bins = min(max(int(math.sqrt(len(real) / 10)), 2), 1000)
    area = [[float(real[:, axis].min()), float(real[:, axis].max())] for axis in range(2)]

    def shares(points):
        counts = np.histogram2d(points[:, 0], points[:, 1], bins=bins, range=area)[0].ravel()
        outside = len(points) - counts.sum()
        smooth = np.append(counts, outside) + PSEUDO_COUNT
        return smooth / smooth.sum(), int(outside)

    (p, _), (q, outside) = shares(real), shares(fake)
    return {"bins": bins, "range": area, "value": float(np.sum(p * np.log(p / q))), "fake_outside": outside}


def off_roll(points):
    """The best of minimisations between neighbours of 400 places on the curve."""
    places = np.linspace(1.5 * np.pi, 4.5 * np.pi, 401)

    def squares(t, point):
        return (t * np.cos(t) / 10 - point[0]) ** 2 + (t * np.sin(t) / 10 - point[1]) ** 2

    distances = []
    for point in points:
        coarse = squares(places, point)
        best = coarse.min()
        for i in np.flatnonzero(coarse < (math.sqrt(best) + 0.05) ** 2):
            found = minimize_scalar(squares, bounds=(places[max(i - 1, 0)], places[min(i + 1, 400)]), args=(point,),
                                    method="bounded", options={"xatol": 1e-12})
            best = min(best, found.fun)
        distances.append(math.sqrt(best))
    return {"mean": float(np.mean(distances)), "q95": float(np.quantile(distances, 0.95))}


def side(values):
    spec = dict(zip(("seed", "count", "offset", "scale"), values))
    return spec, features(values[0], values[1], 2, *values[2:]).astype(np.float64)


def main(path):
    golden = {"versions": {"numpy": np.__version__, "scipy": scipy.__version__, "python": platform.python_version()}, "cases": []}
    for name, real_values, fake_values in CASES:
        (real_spec, real), (fake_spec, fake) = side(real_values), side(fake_values)
        sigma = bandwidth(real)
        golden["cases"].append({"name": name, "real": real_spec, "fake": fake_spec, "bandwidth": sigma,
                                "squared_mmd": squared_mmd(real, fake, sigma), "histogram": divergence(real, fake),
                                "off_roll": off_roll(fake)})
    with open(path, "w") as file:
        json.dump(golden, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
