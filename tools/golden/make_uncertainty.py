"""Writes tests/golden/uncertainty.json: FID-infinity and IS-infinity by the rule of dgm-eval, and delete-group jackknives of both
scores, by NumPy and SciPy alone on the features of synthetic_features.py. A few seconds.

    python3 tools/golden/make_uncertainty.py tests/golden/uncertainty.json     (Debian's python3-numpy, python3-scipy)

Subsets are beginnings and blocks of the rows in this order: the test lays the rows out so that the program's own shuffle brings
them into it.
"""
import json
import platform
import sys

import numpy as np
import scipy
from scipy.linalg import sqrtm
from scipy.special import log_softmax

from synthetic_features import features

# name, dim, (real seed, count, offset, scale), (fake seed, count, offset, scale)
CASES = [
    ("16 features", 16, (41, 900, 0.5, 1.0), (42, 1200, 0.6, 1.2)),
    ("64 features", 64, (43, 2000, 0.5, 1.0), (44, 1003, 0.55, 1.1)),
]
# name, classes, seed, count, scale
LOGITS = [("20 classes", 20, 51, 1003, 4.0), ("100 classes", 100, 52, 1500, 8.0)]
GROUPS = 20


def frechet(real, fake):
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    one, two = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    shift = real.mean(axis=0) - fake.mean(axis=0)
    return float(shift @ shift + np.trace(one) + np.trace(two) - 2 * np.trace(sqrtm(one @ two).real))


def inception_score(logits):
    log_p = log_softmax(logits.astype(np.float64), axis=1)
    p = np.exp(log_p)
    return float(np.exp(np.mean(np.sum(p * (log_p - np.log(p.mean(axis=0))), axis=1))))


def infinity(score, count, columns):
    first = min(5000, max(count // 10, min(2 * columns, count // 2), 2))
    sizes = np.linspace(first, count, 15).astype("int32")
    values = np.array([score(int(size)) for size in sizes])
    slope, intercept = np.polyfit(1.0 / sizes, values, 1)
    r = np.corrcoef(1.0 / sizes, values)[0, 1]
    return {"sizes": sizes.tolist(), "values": values.tolist(), "slope": slope, "intercept": intercept, "r_squared": r * r}


def blocks(count):
    return [np.arange(j * count // GROUPS, (j + 1) * count // GROUPS) for j in range(GROUPS)]


def delete(rows, groups):
    return np.delete(rows, np.concatenate(groups), axis=0)


def jackknife(score_without):
    """`score_without(groups)`: bias, and deviation with the correction of Efron & Stein (1981) from 10 pairs."""
    g, full = GROUPS, score_without([])
    less = np.array([score_without([j]) for j in range(g)])
    pairs = np.array([score_without([j, j + 1]) for j in range(0, g, 2)])
    kernel = g * full - (g - 1) * (less[0::2] + less[1::2]) + (g - 2) * pairs
    share = 1 + 2 * (g - 2) / (g - 1) ** 2 + 2 * (g - 3) / ((g - 1) ** 2 * (g - 2))
    quadratic = np.mean(kernel**2) / share / 2
    variance = (g - 1) / g * np.sum((less - less.mean()) ** 2)
    return {"value": full, "bias": (g - 1) * (less.mean() - full), "deviation": float(np.sqrt(max(variance - quadratic, quadratic)))}


def side(dim, values):
    return dict(zip(("seed", "count", "offset", "scale"), values)), features(values[0], values[1], dim, *values[2:])


def main(path):
    golden = {"versions": {"numpy": np.__version__, "scipy": scipy.__version__, "python": platform.python_version()},
              "groups": GROUPS, "frechet": [], "score": []}
    for name, dim, real_values, fake_values in CASES:
        (real_spec, real), (fake_spec, fake) = side(dim, real_values), side(dim, fake_values)
        real_blocks, fake_blocks = blocks(len(real)), blocks(len(fake))

        def both(groups):
            if not groups:
                return frechet(real, fake)
            return frechet(delete(real, [real_blocks[j] for j in groups]), delete(fake, [fake_blocks[j] for j in groups]))

        def one(groups):
            return frechet(real, delete(fake, [fake_blocks[j] for j in groups]) if groups else fake)

        golden["frechet"].append(
            {"name": name, "dim": dim, "real": real_spec, "fake": fake_spec,
             "infinity": infinity(lambda size: frechet(real, fake[:size]), len(fake), dim),
             "jackknife": jackknife(both), "conditional": jackknife(one)})
    for name, classes, seed, count, scale in LOGITS:
        logits = features(seed, count, classes, 0.0, scale)
        cut = blocks(count)
        golden["score"].append(
            {"name": name, "classes": classes, "seed": seed, "count": count, "scale": scale,
             "infinity": infinity(lambda size: inception_score(logits[:size]), count, classes),
             "jackknife": jackknife(
                 lambda groups: inception_score(delete(logits, [cut[j] for j in groups]) if groups else logits))})
    with open(path, "w") as file:
        json.dump(golden, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
