"""What a tool's own functions take of memory; one JSON line with its value. Run by bench/memory.py, or alone:

    peer_memory.py moments COUNT                  pytorch-fid's mean and covariance of COUNT images, by a network that
                                                  answers at once: the images are one file, read COUNT times
    peer_memory.py prdc REAL FAKE [--sparing]     torch-fidelity's precision and recall of two .npy files of features;
                                                  --sparing: as its save_cpu_ram
"""

import argparse
import json
import pathlib
import sys
import tempfile

import numpy as np
import torch

FEATURES = 2048
OUT_OF_MEMORY = 9  # the exit code; bench/memory.py knows it


class Answering(torch.nn.Module):
    """2048 numbers of an image, by no more than one small product."""

    def __init__(self):
        super().__init__()
        self.weight = torch.randn(3, FEATURES, generator=torch.Generator().manual_seed(0))

    def forward(self, images):
        return [(images.mean((2, 3)) @ self.weight)[:, :, None, None]]


def moments(options):
    import PIL.Image
    import pytorch_fid.fid_score as tool

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "image.png"
        pixels = np.random.RandomState(0).randint(0, 256, (32, 32, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(path)
        mean, covariance = tool.calculate_activation_statistics([path] * options.count, Answering(), 50, FEATURES,
                                                                torch.device("cpu"), 0)
    return {"mean": float(mean.mean()), "variance": float(np.trace(covariance))}


def prdc(options):
    import torch_fidelity.metric_prc as tool

    real, fake = (torch.from_numpy(np.load(path)) for path in (options.real, options.fake))
    return tool.prc_features_to_metric(fake, real, prc_neighborhood=3, prc_batch_size=10_000, verbose=False,
                                       save_cpu_ram=options.sparing)


def main():
    parser = argparse.ArgumentParser()
    tasks = parser.add_subparsers(required=True)
    task = tasks.add_parser("moments")
    task.add_argument("count", type=int)
    task.set_defaults(run=moments)
    task = tasks.add_parser("prdc")
    task.add_argument("real")
    task.add_argument("fake")
    task.add_argument("--sparing", action="store_true")
    task.set_defaults(run=prdc)
    options = parser.parse_args()
    try:
        print(json.dumps({"metrics": options.run(options)}))
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)
    except RuntimeError as error:
        if "can't allocate memory" not in str(error) and "not enough memory" not in str(error):
            raise
        sys.exit(OUT_OF_MEMORY)


if __name__ == "__main__":
    main()
