"""Writes tests/golden/presets.json: what the tools behind the presets make of synthetic images, features of lower layers
and Inception Scores.

    (the environment of make_inception.py, with clean-fid)
    VENV/bin/pip install --no-deps clean-fid==0.1.35
    ATEN_CPU_CAPABILITY=default VENV/bin/python tools/golden/make_presets.py tests/golden/presets.json

Resizing is clean-fid's own code over Pillow, and PyTorch's. NVIDIA's network, which clean-fid and EDM use, cannot be had;
its weights are those of pytorch-fid's network, which stands in for it, and its resizing is written out here, as the rules
of the Inception Scores are. Distances are exact for so few images: of singular covariances a general matrix root would
lose digits. About a minute on one core.
"""
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import sys
import tempfile

import numpy as np
import PIL.Image
import pytorch_fid.inception
import scipy.stats
import torch
from cleanfid.resize import build_resizer
from cleanfid.utils import ResizeDataset
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torchvision.transforms.functional import to_tensor

import synthetic_inception as synthetic
from synthetic_features import features

SIDE = (299, 299)
PIXEL_STEP = 3999
# (height, width, grey): up, both, the network's own size, down, one pixel.
RESIZED = [(32, 32, False), (64, 48, False), (299, 299, False), (320, 200, False), (500, 700, False), (1, 1, False),
           (60, 40, True)]
LAYER_CASES = [(32, 32), (64, 300), (299, 299), (333, 500)]
# Of either side of a distance.
SET = [(32, 32), (64, 48), (299, 299), (320, 200), (500, 700), (1, 1), (60, 40), (333, 500)]
NOISE = {"real": 24, "fake": 60}
# name, classes, seed, count, scale
LOGITS = [("256 rows", 40, 31, 256, 4.0), ("1003 rows", 100, 32, 1003, 8.0), ("21 rows", 40, 33, 21, 4.0)]
CHUNK = 100  # in place of the 5000 rows that ADM's evaluator takes together


def numbers(array, digits=9):
    return [float(f"{value:.{digits}g}") for value in np.asarray(array, dtype=np.float64).ravel()]


def half_pixel(x, antialias=False):
    return torch.nn.functional.interpolate(x, size=SIDE, mode="bilinear", align_corners=False, antialias=antialias)


def tf1(x):
    return interpolate_bilinear_2d_like_tensorflow1x(x, size=SIDE, align_corners=False)


def grid(x):
    """The resizing inside NVIDIA's network."""
    theta = torch.eye(2, 3)
    theta[0, 2] += theta[0, 0] / x.shape[3] - theta[0, 0] / SIDE[1]
    theta[1, 2] += theta[1, 1] / x.shape[2] - theta[1, 1] / SIDE[0]
    where = torch.nn.functional.affine_grid(theta[None].repeat(x.shape[0], 1, 1), [x.shape[0], 3, *SIDE], align_corners=False)
    return torch.nn.functional.grid_sample(x, where, mode="bilinear", padding_mode="border", align_corners=False)


def by_clean_fid(mode):
    resize = build_resizer(mode)
    return lambda x: torch.from_numpy(resize(x[0].byte().numpy().transpose(1, 2, 0)).transpose(2, 0, 1))[None]


RESIZERS = {
    "pillow_bicubic": by_clean_fid("clean"),
    "half_pixel_of_bytes": by_clean_fid("legacy_pytorch"),
    "antialiased_bilinear": lambda x: half_pixel(x, antialias=True),
}


def resized(pixels):
    x = torch.from_numpy(pixels)[None].float()
    result = {}
    for name, resize in RESIZERS.items():
        out = np.ascontiguousarray(resize(x).numpy())
        result[name] = {"sha256_of_nchw": hashlib.sha256(out.tobytes()).hexdigest(),
                        "sum": float(out.sum(dtype=np.float64)), "values": numbers(out.ravel()[::PIXEL_STEP])}
    result["grid_from_tf1"] = float((grid(x) - tf1(x)).abs().max())
    return result


def resize_cases():
    cases = []
    for index, (height, width, grey) in enumerate(RESIZED):
        pixels = synthetic.image("preset", index, height, width)
        if grey:
            pixels = np.repeat(pixels[:1], 3, axis=0)
        cases.append({"height": height, "width": width, "grey": grey, **resized(pixels)})
    return cases


class Network:
    """pytorch-fid's network with synthetic weights, all layers at once."""

    def __init__(self):
        load, keep = torch.load, FeatureExtractorInceptionV3.load_state_dict
        torch.load = lambda *args, **kwargs: None
        FeatureExtractorInceptionV3.load_state_dict = lambda self, state: None
        blank = FeatureExtractorInceptionV3("blank", ["2048"], feature_extractor_weights_path="none")
        torch.load, FeatureExtractorInceptionV3.load_state_dict = load, keep
        state = synthetic.state_dict(blank.state_dict())
        pytorch_fid.inception.load_state_dict_from_url = lambda *args, **kwargs: state
        self.net = pytorch_fid.inception.InceptionV3([0, 1, 2, 3]).eval()
        self.bare = pytorch_fid.inception.InceptionV3([0, 1, 2, 3], resize_input=False, normalize_input=False).eval()
        for net in (self.net, self.bare):
            net.blocks[2][6].branch1x1.register_forward_hook(self.keep_map)  # of Mixed_6d

    def keep_map(self, module, inputs, output):
        self.map = output

    def outputs(self, maps):
        by_layer = {str(map.shape[1]): map.mean(dim=(2, 3)) for map in maps}
        by_layer["spatial"] = self.map[:, :7].permute(0, 2, 3, 1).flatten(1)
        return {name: rows.numpy()[0].astype(np.float64) for name, rows in by_layer.items()}

    def of_bytes(self, pixels):
        return self.outputs(self.net(torch.from_numpy(pixels)[None].float().div(255)))

    def of_prepared(self, x):
        return self.outputs(self.bare(x))


def layer_cases(network):
    cases = []
    for index, (height, width) in enumerate(LAYER_CASES):
        outputs = network.of_bytes(synthetic.image("layer", index, height, width))
        case = {"height": height, "width": width}
        for name, row in outputs.items():
            step = max(1, row.size // 64)
            case[name] = {"dim": row.size, "step": step, "norm": float(np.linalg.norm(row)), "sum": float(row.sum()),
                          "values": numbers(row[::step])}
        cases.append(case)
    return cases


def frechet_distance(real, fake):
    centred = [side - side.mean(axis=0) for side in (real, fake)]
    traces = [(side**2).sum() / (len(side) - 1) for side in centred]
    cross = np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum() / np.sqrt((len(real) - 1) * (len(fake) - 1))
    return float(((real.mean(axis=0) - fake.mean(axis=0)) ** 2).sum() + sum(traces) - 2 * cross)


def distances(network):
    """FID, and sFID where the tool has it, of sets of mixed sizes by each tool's way from a file to the network."""
    folder = pathlib.Path(tempfile.mkdtemp())
    files = {}
    for side, noise in NOISE.items():
        (folder / side).mkdir()
        files[side] = []
        for index, (height, width) in enumerate(SET):
            files[side].append(str(folder / side / f"{index:05d}.png"))
            pixels = synthetic.image(f"preset-{side}", index, height, width, noise)
            PIL.Image.fromarray(pixels.transpose(1, 2, 0)).save(files[side][-1])

    def from_clean_fid(mode, prepare):
        return lambda path: prepare(ResizeDataset([path], mode=mode)[0][None])

    def from_pixels(prepare):
        return lambda path: prepare(torch.from_numpy(np.array(PIL.Image.open(path)).transpose(2, 0, 1))[None].float())

    ways = {
        "clean-fid": from_clean_fid("clean", lambda x: (x - 128) / 128),
        "clean-fid-legacy-pytorch": from_clean_fid("legacy_pytorch", lambda x: 2 * (x / 255) - 1),
        "clean-fid-legacy-tensorflow": from_clean_fid("legacy_tensorflow", lambda x: (grid(x) - 128) / 128),
        "torchmetrics": from_pixels(lambda x: (half_pixel(x, antialias=True) - 128) / 128),
        "adm": from_pixels(lambda x: (tf1(x) - 128) / 128),
        "edm": from_pixels(lambda x: (grid(x) - 128) / 128),
        "pytorch-gan-metrics": from_pixels(lambda x: 2 * half_pixel(x / 255) - 1),
        "dgm-eval": lambda path: 2 * half_pixel(to_tensor(PIL.Image.open(path).convert("RGB"))[None]) - 1,
    }
    result = {}
    for name, prepare in ways.items():
        outputs = {side: [network.of_prepared(prepare(path)) for path in files[side]] for side in files}
        layers = ["2048", "spatial"] if name == "adm" else ["2048"]
        result[name] = {
            layer: frechet_distance(*(np.stack([one[layer] for one in outputs[side]]) for side in ("real", "fake")))
            for layer in layers}
    return {"sizes": SET, "noise": NOISE, "distances": result}


def adm_score(logits):
    """Evaluator.compute_inception_score of guided-diffusion."""
    p = torch.from_numpy(logits).softmax(1).numpy()
    parts = [p[begin:begin + CHUNK] for begin in range(0, len(p), CHUNK)]
    return {"mean": float(np.mean([np.exp(np.mean(np.sum(part * (np.log(part) - np.log(part.mean(0))), 1))) for part in parts]))}


def torchmetrics_score(logits):
    """InceptionScore.compute of torchmetrics 1.9, but for its shuffle."""
    x = torch.from_numpy(logits)
    pairs = zip(x.softmax(1).chunk(10), x.log_softmax(1).chunk(10))
    scores = torch.stack([(p * (log_p - p.mean(0).log())).sum(1).mean().exp() for p, log_p in pairs])
    return {"mean": float(scores.mean()), "std": float(scores.std()), "splits": len(scores)}


def gan_metrics_score(logits):
    """calculate_inception_score of pytorch-gan-metrics, which keeps a float32 softmax as float64."""
    p = torch.from_numpy(logits).softmax(1).numpy().astype(np.float64)
    parts = [p[i * len(p) // 10:(i + 1) * len(p) // 10] for i in range(10)]
    scores = [np.exp(np.mean(np.sum(part * (np.log(part) - np.log(part.mean(0))), 1))) for part in parts]
    return {"mean": float(np.mean(scores)), "std": float(np.std(scores))}


def dgm_score(logits):
    """calculate_score of dgm-eval."""
    p = torch.from_numpy(logits).softmax(1).numpy().astype(np.float64)
    p = p[np.random.RandomState(2020).permutation(len(p))]
    size = len(p) // 10
    parts = [p[i * size:(i + 1) * size] for i in range(10)]
    scores = [np.exp(np.mean([scipy.stats.entropy(row, part.mean(0)) for row in part])) for part in parts]
    return {"mean": float(np.mean(scores)), "std": float(np.std(scores))}


def score_cases():
    rules = {"adm": adm_score, "torchmetrics": torchmetrics_score, "pytorch-gan-metrics": gan_metrics_score,
             "dgm-eval": dgm_score}
    cases = []
    for name, classes, seed, count, scale in LOGITS:
        logits = features(seed, count, classes, 0.0, scale)
        cases.append({"name": name, "classes": classes, "seed": seed, "count": count, "scale": scale,
                      **{tool: score(logits) for tool, score in rules.items()}})
    return {"chunk": CHUNK, "cases": cases}


def main(target):
    torch.set_grad_enabled(False)
    network = Network()
    packages = ("clean-fid", "pytorch-fid", "torch-fidelity", "torch", "torchvision", "numpy", "scipy", "pillow")
    golden = {
        "made_by": "tools/golden/make_presets.py",
        "versions": {**{name: importlib.metadata.version(name) for name in packages}, "python": platform.python_version(),
                     "ATEN_CPU_CAPABILITY": os.environ.get("ATEN_CPU_CAPABILITY", "")},
        "to_tensor_times_255_is_exact": bool(
            (torch.arange(256, dtype=torch.uint8).float().div(255) * 255 == torch.arange(256)).all()),
        "pixel_step": PIXEL_STEP,
        "resize": resize_cases(),
        "layers": layer_cases(network),
        "sets": distances(network),
        "inception_score": score_cases(),
    }
    pathlib.Path(target).write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
