"""Writes tests/golden/pairs.json: KID and precision/recall by torch-fidelity 0.4.0, KID by clean-fid 0.1.35 on the whole of
two sets, precision, recall, density and coverage by prdc 0.2, authenticity by dgm-eval, and ADM's precision and recall by its
formula in NumPy's float16, on the features of synthetic_features.py. A minute on one core.

    python3 -m venv --system-site-packages VENV     (over Debian's python3-torch, python3-torchvision, python3-scipy)
    VENV/bin/pip install --no-deps torch-fidelity==0.4.0 clean-fid==0.1.35 prdc==0.2 \
        scikit-learn==1.3.2 joblib==1.3.2 threadpoolctl==3.2.0
    VENV/bin/python tools/golden/make_pairs.py AUTHPCT tests/golden/pairs.json

AUTHPCT is dgm_eval/metrics/authpct.py of github.com/layer6ai-labs/dgm-eval, which is not on PyPI.
"""
import importlib.metadata
import importlib.util
import json
import platform
import sys

import numpy as np
import torch
from cleanfid.fid import kernel_distance
from prdc import compute_prdc
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric
from torch_fidelity.metric_prc import calculate_precision_recall_full

from synthetic_features import features

# name, dim, (real seed, count, offset, scale), (fake seed, count, offset, scale), subsets, size, the kernel in torch-fidelity's words
POLY = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1}
KID = [
    ("64 features", 64, (11, 300, 0.5, 1.0), (21, 260, 0.6, 1.2), 40, 100, POLY),
    ("2048 features", 2048, (14, 150, 0.4, 0.5), (24, 160, 0.4, 0.5), 100, 100, POLY),
    ("1000 features: gamma is no power of two", 1000, (15, 200, 0.4, 0.5), (25, 200, 0.41, 0.5), 100, 128, POLY),
    ("another polynomial", 64, (12, 200, 0.5, 1.0), (22, 200, 0.6, 1.2), 10, 64,
     {**POLY, "kid_kernel_poly_degree": 2, "kid_kernel_poly_gamma": 0.05, "kid_kernel_poly_coef0": 0.5}),
    ("rbf", 64, (13, 200, 0.5, 8.0), (23, 200, 0.6, 9.0), 10, 64, {"kid_kernel": "rbf", "kid_kernel_rbf_sigma": 10.0}),
]
# name, dim, real, fake, k
NEIGHBOURS = [
    ("64 features", 64, (31, 700, 0.5, 1.0), (41, 600, 0.55, 1.0), 3),
    ("five neighbours", 64, (31, 700, 0.5, 1.0), (41, 600, 0.55, 1.0), 5),
    ("2048 features", 2048, (32, 300, 0.4, 0.5), (42, 350, 0.4, 0.5), 3),
    ("narrower fakes", 16, (33, 500, 0.5, 1.0), (43, 500, 0.5, 0.6), 3),
    ("wider fakes", 16, (34, 500, 0.5, 1.0), (44, 500, 0.5, 1.5), 3),
]


def side(dim, values):
    return dict(zip(("seed", "count", "offset", "scale"), values)), features(values[0], values[1], dim, *values[2:])


def kid(real, fake, subsets, size, kernel):
    """torch-fidelity's first input is the generated one."""
    score = kid_features_to_metric(torch.from_numpy(fake), torch.from_numpy(real), kid_subsets=subsets, kid_subset_size=size,
                                   rng_seed=2020, verbose=False, **kernel)
    return {"mean": score[KEY_METRIC_KID_MEAN], "std": score[KEY_METRIC_KID_STD]}


def clean_fid(real, fake):
    """Of all images of the smaller set: with equally many on both sides nothing is drawn but an order."""
    count = min(len(real), len(fake))
    return kernel_distance(real[:count].astype(np.float64), fake[:count].astype(np.float64), 1, count)


def half_distances(x, y):
    """Squared, as ADM's evaluator on tensors of float16; sums are not rounded before they are complete."""
    x, y = x.astype(np.float16), y.astype(np.float16)
    norms = [np.square(rows).astype(np.float64).sum(axis=1).astype(np.float16) for rows in (x, y)]
    product = (x.astype(np.float64) @ y.astype(np.float64).T).astype(np.float16)
    distances = norms[0][:, None] - np.float16(2) * product + norms[1][None, :]
    assert distances.dtype == np.float16 and np.isfinite(distances).all()
    return np.maximum(distances, np.float16(0)).astype(np.float32)


def half_precision_recall(real, fake, k):
    radii = [np.partition(half_distances(rows, rows), k, axis=1)[:, k] for rows in (real, fake)]
    distances = half_distances(real, fake)
    return {"precision": float((distances <= radii[0][:, None]).any(axis=0).mean()),
            "recall": float((distances <= radii[1][None, :]).any(axis=1).mean())}


def main(authpct, path):
    spec = importlib.util.spec_from_file_location("authpct", authpct)
    dgm_eval = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dgm_eval)
    packages = ("numpy", "torch", "torch-fidelity", "clean-fid", "prdc", "scikit-learn")
    golden = {"versions": {name: importlib.metadata.version(name) for name in packages}, "kid": [], "neighbours": []}
    golden["versions"]["python"] = platform.python_version()
    for name, dim, real_values, fake_values, subsets, size, kernel in KID:
        (real_spec, real), (fake_spec, fake) = side(dim, real_values), side(dim, fake_values)
        entry = {"name": name, "dim": dim, "real": real_spec, "fake": fake_spec, "subsets": subsets, "size": size,
                 "kernel": kernel, "torch_fidelity": kid(real, fake, subsets, size, kernel)}
        if kernel is POLY:
            entry["clean_fid"] = clean_fid(real, fake)
        golden["kid"].append(entry)
        print(entry, flush=True)
    for name, dim, real_values, fake_values, k in NEIGHBOURS:
        (real_spec, real), (fake_spec, fake) = side(dim, real_values), side(dim, fake_values)
        precision, recall = calculate_precision_recall_full(torch.from_numpy(fake), torch.from_numpy(real), k)
        entry = {"name": name, "dim": dim, "real": real_spec, "fake": fake_spec, "k": k,
                 "torch_fidelity": {"precision": precision, "recall": recall},
                 "prdc": {key: float(value) for key, value in compute_prdc(real, fake, k).items()},
                 "authpct": dgm_eval.compute_authpct(real, fake),
                 "float16": half_precision_recall(real, fake, k)}
        golden["neighbours"].append(entry)
        print(entry, flush=True)
    with open(path, "w") as file:
        json.dump(golden, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
