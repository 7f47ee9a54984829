"""Scores of two folders by every peer that can be had, and by the rules of those that cannot; one JSON line.

    build/peers/bin/python bench/peers/parity_peers.py REAL FAKE --weights FILE --subset-size N --done FILE

A value says how it came about: "run" (the tool itself), "function" (the tool's function on features that its network
gave for its own pre-processing), "rule" (the rule as published, in NumPy). What is in --done is not made again, and what
is made is added to it: an interrupted run goes on.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F

import peer_fid

SIDE = 299
BATCH = 16  # through the network
LAYERS = {"64": 0, "192": 1, "768": 2, "2048": 3}
KID_SEED = 2020


# ---- The network behind each tool's pre-processing -------------------------------------------------------------------


def images_of(folder):
    import PIL.Image

    return [np.array(PIL.Image.open(path).convert("RGB")) for path in sorted(pathlib.Path(folder).iterdir())]


def as_batch(image):
    return torch.from_numpy(image.transpose(2, 0, 1).copy()).float()[None]


def tf1(image):
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x as resize

    return (resize(as_batch(image), size=(SIDE, SIDE), align_corners=False) - 128) / 128


def tf1_of_unit(image):
    """clean-fid's ToTensor, times 255: last bits differ from the bytes'."""
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x as resize

    return (resize(as_batch(image) / 255 * 255, size=(SIDE, SIDE), align_corners=False) - 128) / 128


def half_pixel(image):
    return 2 * F.interpolate(as_batch(image) / 255, (SIDE, SIDE), mode="bilinear", align_corners=False) - 1


def half_pixel_of_bytes(image):
    return 2 * (F.interpolate(as_batch(image), (SIDE, SIDE), mode="bilinear", align_corners=False).clip(0, 255) / 255) - 1


def pillow_bicubic(image):
    from cleanfid.resize import build_resizer

    return (as_batch(build_resizer("clean")(image)) - 128) / 128


def antialiased(image):
    resized = F.interpolate(as_batch(image), (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
    return (resized - 128) / 128


class Network:
    """pytorch-fid's, which takes what is resized and scaled."""

    def __init__(self, weights):
        import pytorch_fid.inception as tool

        peer_fid.weights_for(tool, weights)
        self.net = tool.InceptionV3(list(LAYERS.values()), resize_input=False, normalize_input=False).eval()
        self.classifier = torch.load(weights)["fc.weight"]
        self.seen = {}
        self.net.blocks[2][6].branch1x1.register_forward_hook(
            lambda module, inputs, output: self.seen.update(spatial=output[:, :7]))

    def features(self, images, prepare):
        """float32 arrays [N, d] by layer, with "logits" (no bias) and "spatial" (rows, columns, channels)."""
        found = {}
        with torch.no_grad():
            for begin in range(0, len(images), BATCH):
                maps = self.net(torch.cat([prepare(image) for image in images[begin:begin + BATCH]]))
                row = {name: maps[place].mean((2, 3)) for name, place in LAYERS.items()}
                row["logits"] = row["2048"] @ self.classifier.T
                row["spatial"] = self.seen["spatial"].permute(0, 2, 3, 1).reshape(len(row["logits"]), -1)
                for name, value in row.items():
                    found.setdefault(name, []).append(value.numpy())
        return {name: np.concatenate(rows) for name, rows in found.items()}


# ---- Rules -----------------------------------------------------------------------------------------------------------


def frechet(real, fake):
    """In float64, the root by singular values: exact for fewer images than features."""
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    difference = real.mean(0) - fake.mean(0)
    x, y = ((side - side.mean(0)) / np.sqrt(len(side) - 1) for side in (real, fake))
    root = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return float(difference @ difference + (x**2).sum() + (y**2).sum() - 2 * root)


def softmax(logits, dtype):
    rows = logits.astype(dtype)
    rows = np.exp(rows - rows.max(1, keepdims=True))
    return (rows / rows.sum(1, keepdims=True)).astype(np.float64)


def inception_score(logits, parts, dtype, ddof):
    """Of the rows of each part; mean, and deviation where there is a ddof."""
    scores = []
    for part in parts:
        p = softmax(logits[part], dtype)
        scores.append(np.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean()))
    told = {"inception_score_mean": float(np.mean(scores))}
    if ddof is not None:
        told["inception_score_std"] = float(np.std(scores, ddof=ddof))
    return told


def even(count, splits=10):
    return [np.arange(i * count // splits, (i + 1) * count // splits) for i in range(splits)]


def kernel_of_all(real, fake):
    """Of sets of one size, each a subset as a whole: no draw matters."""
    x, y, n = (fake.astype(np.float64), real.astype(np.float64), len(real))
    k = [(a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))]
    return float((k[0].sum() - np.trace(k[0]) + k[1].sum() - np.trace(k[1])) / (n * (n - 1)) - 2 * k[2].mean())


def neighbours_in_half(real, fake, k):
    """As ADM's evaluator: squared distances of float16 numbers, each step rounded; balls with their sphere."""
    def distances(a, b):
        a, b = a.astype(np.float16), b.astype(np.float16)
        norms = [(side * side).astype(np.float64).sum(1).astype(np.float16) for side in (a, b)]
        products = (a.astype(np.float64) @ b.astype(np.float64).T).astype(np.float16)
        return np.maximum((norms[0][:, None] - np.float16(2) * products) + norms[1], np.float16(0))

    of_real, of_fake = (np.sort(distances(side, side), 1)[:, k] for side in (real, fake))
    between = distances(real, fake)
    if not all(np.isfinite(one).all() for one in (of_real, of_fake, between)):
        print("parity: half precision overflows, where ADM's evaluator takes float32: left out", file=sys.stderr)
        return {}
    return {"precision": float((between <= of_real[:, None]).any(0).mean()),
            "recall": float((between <= of_fake).any(1).mean())}


def neighbours(real, fake, k):
    """As prdc: balls without their sphere."""
    def distances(a, b):
        return np.sqrt(np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0))

    real, fake = real.astype(np.float64), fake.astype(np.float64)
    near_real, near_fake = (np.sort(distances(side, side), 1) for side in (real, fake))
    of_real, of_fake = near_real[:, k], near_fake[:, k]
    between = distances(real, fake)
    return {"precision": float((between < of_real[:, None]).any(0).mean()),
            "recall": float((between < of_fake).any(1).mean()),
            "density": float((between < of_real[:, None]).sum(0).mean() / k),
            "coverage": float((between.min(1) < of_real).mean()),
            # dgm-eval's, which it gives times 100
            "authenticity": float((near_real[between.argmin(0), 1] < between.min(0)).mean())}


def mind(real, fake):
    """As torch-fidelity's master, whose releases have none; with equally many images on both sides only the directions are drawn."""
    axes = torch.randn(1000, real.shape[1], generator=torch.Generator().manual_seed(KID_SEED)).numpy()
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    one, two = (np.sort(side.astype(np.float64) @ axes.T.astype(np.float64), 0) for side in (real, fake))
    return float(3 * real.shape[1] * ((one - two)**2).mean())


def mifid(real, fake):
    """As torchmetrics: of each real image the fake one at the smallest angle."""
    units = [side.astype(np.float64) / np.linalg.norm(side.astype(np.float64), axis=1, keepdims=True) for side in (real, fake)]
    distance = float((1 - np.abs(units[0] @ units[1].T)).min(1).mean())
    return frechet(real, fake) / ((distance if distance < 0.1 else 1) + 1e-14)


def vendi(features):
    """As dgm-eval, in float64."""
    rows = features.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(rows @ rows.T / len(rows))
    values = values[values > 0]
    return float(np.exp(-(values * np.log(values)).sum()))


def sliced_wasserstein_approximation(real, fake):
    """As dgm-eval's sw_approx."""
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    spread = [np.sqrt(((side - side.mean(0))**2).sum(1).mean()) for side in (real, fake)]
    shift = np.linalg.norm(real.mean(0) - fake.mean(0))
    return float(np.sqrt((shift**2 + (spread[0] - spread[1])**2) / real.shape[1]))


# ---- The tools -------------------------------------------------------------------------------------------------------


def by_pytorch_fid(options):
    import pytorch_fid.fid_score as tool

    found = {}
    for dims in (2048, 768, 192, 64):
        key = "frechet_inception_distance" if dims == 2048 else f"frechet_distance@{dims}"
        found[key] = float(tool.calculate_fid_given_paths([options.real, options.fake], options.batch,
                                                          torch.device("cpu"), dims, 1))
    return found


def by_torch_fidelity(options):
    from torch_fidelity import calculate_metrics

    found = calculate_metrics(input1=options.fake, input2=options.real, isc=True, fid=True, kid=True, prc=True,
                              feature_extractor="inception-v3-compat", batch_size=options.batch, cuda=False,
                              verbose=False, cache=False, feature_layer_prc="2048", kid_subset_size=options.subset_size,
                              feature_extractor_weights_path=options.weights)
    return {key: float(value) for key, value in found.items()}


def by_clean_fid(options):
    import cleanfid.fid as tool
    import cleanfid.inception_pytorch

    peer_fid.weights_for(cleanfid.inception_pytorch, options.weights)
    device = torch.device("cpu")
    np.random.seed(KID_SEED)
    words = {"mode": "legacy_pytorch", "device": device, "verbose": False, "num_workers": 0}
    return {"frechet_inception_distance": float(tool.compute_fid(options.real, options.fake, **words)),
            "kernel_inception_distance_mean": float(tool.compute_kid(options.fake, options.real, **words))}


def by_functions_of_clean_fid(real, fake):
    import cleanfid.fid as tool

    np.random.seed(KID_SEED)
    return {"frechet_inception_distance": float(tool.fid_from_feats(fake["2048"], real["2048"])),
            "kernel_inception_distance_mean": tool.kernel_distance(fake["2048"], real["2048"])}


# ---- Steps -----------------------------------------------------------------------------------------------------------


def rows_of(preset, how, values, **allowed):
    return [{"preset": preset, "metric": key, "value": value, "how": how, **allowed} for key, value in values.items()]


def pool3(real, fake):
    return {"frechet_inception_distance": frechet(real["2048"], fake["2048"])}


def by_pillow(real, fake):
    return (rows_of("clean-fid", "function", by_functions_of_clean_fid(real, fake)) +
            rows_of("clean-fid", "rule", pool3(real, fake)))


def by_half_pixel_of_bytes(real, fake):
    return rows_of("clean-fid-legacy-pytorch", "rule", pool3(real, fake))


def by_tf1_of_unit(real, fake):
    return rows_of("clean-fid-legacy-tensorflow", "rule",
                   {**pool3(real, fake), "kernel_inception_distance_mean": kernel_of_all(real["2048"], fake["2048"])})


def by_antialiased(real, fake):
    count = len(fake["logits"])
    size = -(-count // 10)
    chunks = [np.arange(begin, min(begin + size, count)) for begin in range(0, count, size)]
    lower = {f"frechet_distance@{layer}": frechet(real[layer], fake[layer]) for layer in ("64", "192", "768")}
    return rows_of("torchmetrics", "rule",
                   {**pool3(real, fake), **lower, **inception_score(fake["logits"], chunks, np.float32, 1),
                    "memorization_informed_frechet_inception_distance": mifid(real["2048"], fake["2048"]),
                    "kernel_inception_distance_mean": kernel_of_all(real["2048"], fake["2048"])})


def by_tf1(real, fake):
    whole = [np.arange(len(fake["logits"]))]
    spatial = {"spatial_frechet_inception_distance@spatial": frechet(real["spatial"], fake["spatial"])}
    return (rows_of("torch-fidelity", "rule", {**pool3(real, fake), "monge_inception_distance": mind(real["2048"], fake["2048"])}) + rows_of("edm", "rule", pool3(real, fake)) +
            rows_of("adm", "rule", {**pool3(real, fake), **spatial,
                                    **inception_score(fake["logits"], whole, np.float32, None)}) +
            # Distances of 11 bits are often equal: the last bit of a feature can move an image.
            rows_of("adm", "rule", neighbours_in_half(real["2048"], fake["2048"], 3), allowed=1 / len(real["2048"])))


def by_half_pixel(real, fake):
    count = len(fake["logits"])
    shuffled = np.random.RandomState(KID_SEED).permutation(count)
    whole = [shuffled[i * (count // 10):(i + 1) * (count // 10)] for i in range(10)]
    return (rows_of("pytorch-fid", "rule", pool3(real, fake)) +
            rows_of("pytorch-gan-metrics", "rule",
                {**pool3(real, fake), **inception_score(fake["logits"], even(count), np.float32, 0)}) +
            rows_of("dgm-eval", "rule", {**pool3(real, fake), **inception_score(fake["logits"], whole, np.float32, 0),
                                         "kernel_inception_distance_mean": kernel_of_all(real["2048"], fake["2048"]),
                                         "vendi_score": vendi(fake["2048"]),
                                         "sliced_wasserstein_approximation":
                                             sliced_wasserstein_approximation(real["2048"], fake["2048"]),
                                         **neighbours(real["2048"], fake["2048"], 5)}))


RUNS = {"pytorch-fid": by_pytorch_fid, "torch-fidelity": by_torch_fidelity, "clean-fid-legacy-pytorch": by_clean_fid}
RULES = {pillow_bicubic: by_pillow, half_pixel_of_bytes: by_half_pixel_of_bytes, tf1_of_unit: by_tf1_of_unit,
         antialiased: by_antialiased, tf1: by_tf1, half_pixel: by_half_pixel}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real")
    parser.add_argument("fake")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--subset-size", type=int, required=True)
    parser.add_argument("--done", type=pathlib.Path, required=True, help="JSON file of the rows of each step")
    options = parser.parse_args()
    network = Network(options.weights)
    sides = [images_of(folder) for folder in (options.real, options.fake)]
    # The tools' loaders take batches of one size alone.
    options.batch = BATCH if len({image.shape for side in sides for image in side}) == 1 else 1
    steps = {f"run {preset}": lambda run=run, preset=preset: rows_of(preset, "run", run(options))
             for preset, run in RUNS.items()}
    steps |= {f"rule {prepare.__name__}":
              lambda prepare=prepare, rule=rule: rule(*(network.features(side, prepare) for side in sides))
              for prepare, rule in RULES.items()}
    done = json.loads(options.done.read_text()) if options.done.exists() else {}
    for name, make in steps.items():
        if name not in done:
            print(f"parity: {name}", file=sys.stderr, flush=True)
            done[name] = make()
            temporary = options.done.with_suffix(".tmp")
            temporary.write_text(json.dumps(done))
            temporary.replace(options.done)
    print(json.dumps([one for name in steps for one in done[name]]))


if __name__ == "__main__":
    main()
