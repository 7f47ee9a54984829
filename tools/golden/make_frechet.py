"""Writes tests/golden/frechet.json: FID by pytorch-fid 0.3.0 and torch-fidelity 0.4.0, IS by torch-fidelity, on the
features of synthetic_features.py. About a minute on one core, nearly all of it SciPy's sqrtm at 2048 dimensions.

    python3 -m venv --system-site-packages VENV     (over Debian's python3-torch, python3-torchvision, python3-scipy)
    VENV/bin/pip install --no-deps pytorch-fid==0.3.0 torch-fidelity==0.4.0
    VENV/bin/python tools/golden/make_frechet.py tests/golden/frechet.json
"""
import importlib.metadata
import json
import platform
import sys

import numpy as np
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

from synthetic_features import features

# name, dim, (real seed, count, offset, scale), (fake seed, count, offset, scale)
CASES = [
    ("full rank", 64, (11, 500, 0.5, 1.0), (21, 400, 0.6, 1.2)),
    ("one side below the dimension", 64, (12, 500, 0.5, 1.0), (22, 40, 0.6, 1.2)),
    ("both sides below the dimension", 64, (13, 50, 0.5, 1.0), (23, 40, 0.6, 1.2)),
    ("2048 features of 100 images", 2048, (14, 100, 0.5, 1.0), (24, 120, 0.6, 1.2)),
]
# name, classes, seed, count, scale, splits
LOGITS = [("256 rows", 40, 31, 256, 4.0, 10), ("1003 rows, uneven splits", 100, 32, 1003, 8.0, 10)]


def pytorch_fid(real, fake):
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    return float(
        calculate_frechet_distance(
            real.mean(axis=0), np.cov(real, rowvar=False), fake.mean(axis=0), np.cov(fake, rowvar=False)
        )
    )


def torch_fidelity(real, fake):
    statistics = [fid_features_to_statistics(torch.from_numpy(side)) for side in (real, fake)]
    return fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID]


def side(dim, values):
    return dict(zip(("seed", "count", "offset", "scale"), values)), features(values[0], values[1], dim, *values[2:])


def main(path):
    packages = ("numpy", "scipy", "torch", "pytorch-fid", "torch-fidelity")
    golden = {"versions": {name: importlib.metadata.version(name) for name in packages}, "frechet": [], "is": []}
    golden["versions"]["python"] = platform.python_version()
    for name, dim, real_values, fake_values in CASES:
        (real_spec, real), (fake_spec, fake) = side(dim, real_values), side(dim, fake_values)
        golden["frechet"].append(
            {"name": name, "dim": dim, "real": real_spec, "fake": fake_spec, "pytorch_fid": pytorch_fid(real, fake),
             "torch_fidelity": torch_fidelity(real, fake)}
        )
        print(golden["frechet"][-1], flush=True)
    # torch-fidelity's own regression case: two sets of four points in four dimensions, for which an early version gave NaN.
    rng = np.random.RandomState(1)
    real, fake = rng.randn(4, 4), rng.randn(4, 4)
    golden["regression"] = {"real": real.ravel().tolist(), "fake": fake.ravel().tolist(),
                            "torch_fidelity": torch_fidelity(real, fake)}
    for name, classes, seed, count, scale, splits in LOGITS:
        score = isc_features_to_metric(torch.from_numpy(features(seed, count, classes, 0.0, scale)), splits)
        golden["is"].append(
            {"name": name, "classes": classes, "seed": seed, "count": count, "scale": scale, "splits": splits,
             "mean": score[KEY_METRIC_ISC_MEAN], "std": score[KEY_METRIC_ISC_STD]}
        )
    first = features(11, 500, 64, 0.5, 1.0)
    golden["check"] = {"first": float(first[0, 0]), "last": float(first[-1, -1]), "sum": float(first.sum(dtype=np.float64))}
    with open(path, "w") as file:
        json.dump(golden, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
