"""Writes tests/golden/feature_scores.json: MIND by torch-fidelity's master (5e211a9), MiFID by torchmetrics 1.9.0, the Vendi score and
the approximate sliced Wasserstein distance by dgm-eval (74c79f7), on the features of synthetic_features.py. Some seconds.

    python3 -m venv --system-site-packages VENV     (over Debian's python3-torch, python3-torchvision, python3-scipy)
    VENV/bin/pip install --no-deps torchmetrics==1.9.0 lightning-utilities==0.15.2 tqdm packaging \
        scikit-learn==1.3.2 joblib==1.3.2 threadpoolctl==3.2.0
    VENV/bin/python tools/golden/make_feature_scores.py FIDELITY DGM tests/golden/feature_scores.json

FIDELITY is a checkout of github.com/toshas/torch-fidelity, whose releases have no MIND yet; DGM is the folder dgm_eval/metrics of
github.com/layer6ai-labs/dgm-eval, which is not on PyPI.
"""
import importlib.metadata
import json
import platform
import sys

import torch

from synthetic_features import features

# name, dim, (real seed, count, offset, scale), (fake seed, count, offset, scale)
CASES = [
    ("16 features, as many on each side", 16, (71, 400, 0.5, 1.0), (72, 400, 0.6, 1.2)),
    ("48 features, fewer on the real side", 48, (73, 350, 0.5, 1.0), (74, 503, 0.55, 1.1)),
    ("48 features, fewer on the fake side, near each other", 48, (75, 420, 2.0, 0.4), (76, 300, 2.0, 0.4)),
    ("2048 features, fewer images than features", 2048, (77, 150, 0.4, 0.5), (78, 160, 0.4, 0.5)),
]
PROJECTIONS = 1000
SEED = 2020


def side(dim, values):
    return dict(zip(("seed", "count", "offset", "scale"), values)), features(values[0], values[1], dim, *values[2:])


def mifid(real, fake):
    """As MemorizationInformedFrechetInceptionDistance.compute() from features, which it keeps in float64."""
    from torchmetrics.image.mifid import _compute_cosine_distance, _mifid_compute

    real, fake = (torch.from_numpy(rows).double() for rows in (real, fake))
    value = _mifid_compute(real.mean(0), torch.cov(real.t()), real, fake.mean(0), torch.cov(fake.t()), fake)
    return {"mifid": float(value), "distance": float(_compute_cosine_distance(real, fake, 2.0))}


def main(fidelity, dgm, path):
    sys.path[:0] = [fidelity, dgm]
    import sw
    import vendi
    from torch_fidelity.metric_mind import KEY_METRIC_MIND, mind_features_to_metric

    packages = ("numpy", "torch", "torchmetrics", "scikit-learn")
    golden = {"versions": {name: importlib.metadata.version(name) for name in packages}, "projections": PROJECTIONS, "seed": SEED,
              "cases": []}
    golden["versions"]["python"] = platform.python_version()
    for name, dim, real_values, fake_values in CASES:
        (real_spec, real), (fake_spec, fake) = side(dim, real_values), side(dim, fake_values)
        mind = mind_features_to_metric(torch.from_numpy(fake), torch.from_numpy(real), mind_num_projections=PROJECTIONS, cuda=False,
                                       rng_seed=SEED, verbose=False)
        golden["cases"].append({"name": name, "dim": dim, "real": real_spec, "fake": fake_spec, "mind": mind[KEY_METRIC_MIND],
                                **mifid(real, fake), "vendi": float(vendi.compute_vendi_score(fake.astype("float64"))),
                                "vendi_of_float32": float(vendi.compute_vendi_score(fake)),
                                "sw_approx": float(sw.sw_approx(real.astype("float64"), fake.astype("float64")))})
        print(golden["cases"][-1], flush=True)
    with open(path, "w") as file:
        json.dump(golden, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
