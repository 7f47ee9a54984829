"""Writes tests/golden/inception.json: what pytorch-fid 0.3.0 and torch-fidelity 0.4.0 make of synthetic images with
synthetic weights. Neither tool is changed; only the download of the weights is replaced by the synthetic ones.

    (the environment of make_frechet.py, with Debian's python3-pil, python3-requests and python3-tqdm)
    ATEN_CPU_CAPABILITY=default VENV/bin/python tools/golden/make_inception.py tests/golden/inception.json

With the default capability PyTorch's resampler uses no fused operations, so that its bits do not depend on the
processor. Takes about five minutes on one core, nearly all of them in the two square roots.
"""
import hashlib
import json
import os
import pathlib
import sys
import tempfile

import numpy as np
import PIL
import PIL.Image
import pytorch_fid
import pytorch_fid.fid_score
import pytorch_fid.inception
import scipy
import torch
import torch_fidelity
import torchvision
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

import synthetic_inception as synthetic

# (height, width, noise) of single images: up, down, both, the network's own size, and one pixel.
CASES = [(32, 32, 24), (32, 32, 60), (28, 28, 24), (1, 1, 24), (17, 40, 24), (299, 299, 24), (64, 300, 24), (333, 500, 24)]
COUNT = 24  # images on each side of the end-to-end case
FEATURE_STEP = 10
LOGIT_STEP = 8


def sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def numbers(array, digits=9):
    return [float(f"{value:.{digits}g}") for value in np.asarray(array, dtype=np.float64).ravel()]


def checkerboard():
    y, x, c = np.ogrid[:32, :32, :3]
    return np.ascontiguousarray(((y + x + c) % 2 * 255).astype(np.uint8).transpose(2, 0, 1))


def resample_cases():
    sources = {
        "checkerboard 32x32": checkerboard(),
        "image resample/0 200x300": synthetic.image("resample", 0, 200, 300),
        "image resample/1 5x3": synthetic.image("resample", 1, 5, 3),
        "image resample/2 700x400": synthetic.image("resample", 2, 700, 400),
    }
    result = {}
    for name, pixels in sources.items():
        batch = torch.from_numpy(pixels)[None]
        tf1 = interpolate_bilinear_2d_like_tensorflow1x(batch.float(), size=(299, 299), align_corners=False)
        half = torch.nn.functional.interpolate(batch.float().div(255), size=(299, 299), mode="bilinear", align_corners=False)
        result[name] = {
            rule: {"sha256_of_nchw": sha256(out.numpy()), "every_1999th": numbers(out.numpy().ravel()[::1999])}
            for rule, out in (("tf1", tf1), ("half_pixel", half))
        }
    return result


def described(features):
    return [
        {"norm": float(np.linalg.norm(row)), "sum": float(row.sum()), "values": numbers(row[::FEATURE_STEP])}
        for row in features.astype(np.float64)
    ]


def write_folder(folder, images):
    folder.mkdir()
    for index, pixels in enumerate(images):
        PIL.Image.fromarray(pixels.transpose(1, 2, 0)).save(folder / f"{index:05d}.png")


def both_distances(real, fake):
    """The Frechet distance of the same features by both tools' own code."""
    statistics = [fid_features_to_statistics(torch.from_numpy(side)) for side in (fake, real)]
    moments = []
    for side in (real, fake):
        side = side.astype(np.float64)
        moments += [side.mean(axis=0), np.cov(side, rowvar=False)]
    return {
        "torch-fidelity": fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"],
        "pytorch-fid": float(pytorch_fid.fid_score.calculate_frechet_distance(*moments)),
    }


def end_to_end(extract, weights, folder):
    sides = {"real": synthetic.images("real", COUNT, 32, 32, 24), "fake": synthetic.images("fake", COUNT, 32, 32, 60)}
    for name, images in sides.items():
        write_folder(folder / name, images)
    metrics = torch_fidelity.calculate_metrics(
        input1=str(folder / "fake"), input2=str(folder / "real"), isc=True, fid=True, cuda=False, cache=False, batch_size=16,
        feature_extractor_weights_path=weights, verbose=False)
    fid = pytorch_fid.fid_score.calculate_fid_given_paths([str(folder / "real"), str(folder / "fake")], 16, "cpu", 2048, 1)
    return {
        "count": COUNT, "height": 32, "width": 32, "noise": {"real": 24, "fake": 60},
        "reported": {"torch-fidelity": metrics, "pytorch-fid": {"frechet_inception_distance": float(fid)}},
        "frechet_distance_of_features_of": {
            preset: both_distances(*(extract[preset](sides[side])[0] for side in ("real", "fake"))) for preset in extract},
    }


def main(target):
    torch.set_grad_enabled(False)
    folder = pathlib.Path(tempfile.mkdtemp())
    weights = str(folder / "weights.pth")

    # torch-fidelity takes a path; the architecture is built first with no weights to learn the names and shapes.
    load = torch.load
    torch.load = lambda *args, **kwargs: None
    keep = FeatureExtractorInceptionV3.load_state_dict
    FeatureExtractorInceptionV3.load_state_dict = lambda self, state: None
    blank = FeatureExtractorInceptionV3("blank", ["2048"], feature_extractor_weights_path="none")
    torch.load, FeatureExtractorInceptionV3.load_state_dict = load, keep
    state = synthetic.state_dict(blank.state_dict())
    torch.save(state, weights)

    fidelity_net = FeatureExtractorInceptionV3("golden", ["2048", "logits_unbiased"], feature_extractor_weights_path=weights)
    pytorch_fid.inception.load_state_dict_from_url = lambda *args, **kwargs: torch.load(weights)
    fid_net = pytorch_fid.inception.InceptionV3([3]).eval()

    def by_torch_fidelity(images):
        features, logits = fidelity_net(torch.from_numpy(images))
        return features.numpy(), logits.numpy()

    def by_pytorch_fid(images):
        return fid_net(torch.from_numpy(images).float().div(255))[0][:, :, 0, 0].numpy(), None

    extract = {"torch-fidelity": by_torch_fidelity, "pytorch-fid": by_pytorch_fid}
    floats = b"".join(t.numpy().tobytes() for name, t in state.items() if t.dtype == torch.float32)
    cases = []
    for index, (height, width, noise) in enumerate(CASES):
        pixels = synthetic.image("case", index, height, width, noise)
        case = {"height": height, "width": width, "noise": noise, "sha256": sha256(pixels)}
        for preset, run in extract.items():
            features, logits = run(pixels[None])
            case[preset] = described(features)[0]
            if logits is not None:
                case["logits"] = {"norm": float(np.linalg.norm(logits)), "values": numbers(logits[0, ::LOGIT_STEP])}
        cases.append(case)

    golden = {
        "made_by": "tools/golden/make_inception.py",
        "versions": {
            "pytorch-fid": pytorch_fid.__version__, "torch-fidelity": torch_fidelity.__version__, "torch": torch.__version__,
            "torchvision": torchvision.__version__, "numpy": np.__version__, "scipy": scipy.__version__,
            "pillow": PIL.__version__, "python": sys.version.split()[0],
            "ATEN_CPU_CAPABILITY": os.environ.get("ATEN_CPU_CAPABILITY", ""),
        },
        "weights_sha256": hashlib.sha256(floats).hexdigest(),
        "feature_step": FEATURE_STEP,
        "logit_step": LOGIT_STEP,
        "resample": resample_cases(),
        "cases": cases,
        "end_to_end": end_to_end(extract, weights, folder),
    }
    pathlib.Path(target).write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
