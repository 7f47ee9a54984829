"""Makes what the races work on, in the folder --out, and prints one JSON line that says what it is.

    build/peers/bin/python bench/peers/make_data.py --out build/peers-data --count 1017 [--cifar FOLDER]

Two folders of --count PNG images of 32 x 32: synthetic ones, the same bytes everywhere, or with --cifar the first of
CIFAR-10's test set (real) and of its first training batch (fake), from a folder cifar-10-batches-bin. Synthetic
Inception weights, the mean and covariance of 5,000 normal draws in 2,048 dimensions for each side, and single pictures
to decode. What is there is kept, but for these.
"""

import argparse
import hashlib
import io
import json
import os
import pathlib
import shutil
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tools" / "golden"))
import synthetic_inception  # noqa: E402

SIDE = 32
NOISE = {"real": 24, "fake": 60}
CIFAR_FILES = {"real": "test_batch.bin", "fake": "data_batch_1.bin"}
FEATURES = 2048  # of the FID Inception
DRAWS = 5000  # more than dimensions: full rank
SEEDS = {"real": 1, "fake": 2}
PICTURES = (32, 256, 1024)


def synthetic_images(side, count):
    return synthetic_inception.images(side, count, SIDE, SIDE, NOISE[side])


def cifar_images(folder, side, count):
    """uint8 [count, 3, 32, 32]. A row of the file is a label and the image."""
    rows = np.fromfile(folder / CIFAR_FILES[side], np.uint8).reshape(-1, 1 + 3 * SIDE * SIDE)
    if count > len(rows):
        sys.exit(f"make_data: {folder / CIFAR_FILES[side]} has {len(rows)} images, not {count}")
    return rows[:count, 1:].reshape(count, 3, SIDE, SIDE)


def write_pngs(folder, images):
    """All of them or nothing."""
    import PIL.Image

    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(tempfile.mkdtemp(dir=folder.parent))
    for index, pixels in enumerate(images):
        PIL.Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(temporary / f"{index:05d}.png")
    temporary.rename(folder)


def image_folders(out, count, cifar):
    kind = "cifar10" if cifar else "synthetic"
    folders, digest = {}, hashlib.sha256()
    for side in ("real", "fake"):
        images = cifar_images(cifar, side, count) if cifar else synthetic_images(side, count)
        digest.update(images.tobytes())
        content = hashlib.sha256(images.tobytes()).hexdigest()[:12]  # other images have another folder
        folder = out / f"images-{kind}-{count}" / f"{side}-{content}"
        if not folder.exists():
            write_pngs(folder, images)
        folders[side] = str(folder)
    return {"kind": kind, "count": count, "sha256": digest.hexdigest(), **folders}


def write_weights(path):
    """Names and shapes are learned from the network of torch-fidelity, which is given none."""
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Blank(FeatureExtractorInceptionV3):
        def load_state_dict(self, state):
            pass

    temporary = path.with_name(path.name + ".tmp")
    torch.save({}, temporary)
    blank = Blank("blank", ["2048"], feature_extractor_weights_path=str(temporary))
    torch.save(synthetic_inception.state_dict(blank.state_dict()), temporary)
    os.replace(temporary, path)


def write_statistics(path, side):
    random = np.random.default_rng(SEEDS[side])
    draws = random.standard_normal((DRAWS, FEATURES)) * np.exp(random.uniform(-3, 1, FEATURES))
    temporary = path.with_name(path.name + ".tmp.npz")
    np.savez(temporary, mu=draws.mean(axis=0), sigma=np.cov(draws, rowvar=False))
    os.replace(temporary, path)


def write_pictures(out):
    """One PNG and one JPEG of each size, as Pillow writes them: waves with grain, JPEG at quality 95."""
    from PIL import Image

    folder = out / "pictures"
    folder.mkdir(exist_ok=True)
    digests = {}
    for side in PICTURES:
        ramp = np.arange(side) / side
        waves = np.sin(6 * ramp[:, None] + 4 * ramp)[..., None] * 80
        grain = np.random.default_rng(0).standard_normal((side, side, 3)) * 8
        picture = Image.fromarray((grain + waves + 128).clip(0, 255).astype(np.uint8))
        for kind in ("png", "jpeg"):
            path = folder / f"{kind}-{side}"
            with io.BytesIO() as file:
                picture.save(file, kind, **({"quality": 95} if kind == "jpeg" else {}))
                path.write_bytes(file.getvalue())
            digests[path.name] = file_sha256(path)
    return {"file": str(folder), "sha256": digests}


def file_sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=1017, help="images on each side")
    parser.add_argument("--cifar", type=pathlib.Path, metavar="FOLDER", help="a folder cifar-10-batches-bin")
    options = parser.parse_args()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    for left in out.glob("images-*/tmp*"):
        shutil.rmtree(left)
    weights = out / "inception-synthetic.pth"
    if not weights.exists():
        write_weights(weights)
    statistics = {}
    for side in ("real", "fake"):
        path = out / f"statistics-{side}.npz"
        if not path.exists():
            write_statistics(path, side)
        statistics[side] = str(path)
    print(json.dumps({
        "images": image_folders(out, options.count, options.cifar),
        "weights": {"kind": "synthetic (tools/golden/synthetic_inception.py)", "file": str(weights),
                    "sha256": file_sha256(weights)},
        "pictures": write_pictures(out),
        "statistics": {"features": FEATURES, "draws": DRAWS, "seeds": SEEDS, **statistics}}))


if __name__ == "__main__":
    main()
