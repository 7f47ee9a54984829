"""Times one task of a PyTorch eager user and prints one JSON line. Run by side_by_side.py, or alone:

    peer_bench.py unet-forward|unet-train|points-train --batch N --threads N --seconds S
    peer_bench.py decode --file IMAGE --threads N --seconds S

A warm-up of three passes is not counted.
"""

import argparse
import io
import json
import time

import torch
from torch.nn import functional as F

from points import STEPS, PointNet
from unet import SIDE, UNet

LEARNING_RATE = 1e-3
CLIP_NORM = 1.0
WARM_UP = 3


class Ema:
    def __init__(self, model, decay):
        self.decay = decay
        self.shadow = {name: p.data.clone() for name, p in model.named_parameters()}

    def update(self, model):
        for name, parameter in model.named_parameters():
            self.shadow[name] = (1 - self.decay) * parameter.data + self.decay * self.shadow[name]


def alpha_bar(steps, start, end):
    return torch.cumprod(1 - torch.linspace(start, end, steps, dtype=torch.float64), 0).float()


def train_step(model, optimiser, ema, x_0, t, table):
    eps = torch.randn_like(x_0)
    root = table[t].view(-1, *[1] * (x_0.dim() - 1))
    x_t = root.sqrt() * x_0 + (1 - root).sqrt() * eps
    loss = F.mse_loss(model(x_t, t), eps)
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
    optimiser.step()
    ema.update(model)
    return loss.item()


def unet_forward(batch):
    model = UNet().eval()
    x, t = torch.randn(batch, 3, SIDE, SIDE), torch.full((batch,), 500)

    def step():
        with torch.no_grad():
            return model(x, t)

    return step, batch


def unet_train(batch):
    model = UNet().train()
    optimiser, ema = torch.optim.Adam(model.parameters(), lr=2e-4), Ema(model, 0.9999)
    table = alpha_bar(1000, 1e-4, 0.02)
    data = torch.randint(0, 256, (4 * batch, 3, SIDE, SIDE), dtype=torch.uint8)

    def step():
        x_0 = data[torch.randint(0, len(data), (batch,))].float() / 127.5 - 1
        return train_step(model, optimiser, ema, x_0, torch.randint(0, 1000, (batch,)), table)

    return step, batch


def points_train(batch):
    model = PointNet()
    optimiser, ema = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE), Ema(model, 0.9)
    table = alpha_bar(STEPS, 1e-4, 0.02)
    data = torch.randn(10_000, 2)

    def step():
        half = torch.randint(0, STEPS, (batch // 2,))
        x_0 = data[torch.randint(0, len(data), (batch,))]
        return train_step(model, optimiser, ema, x_0, torch.cat([half, STEPS - 1 - half]), table)

    return step, 1  # updates


def decode(path):
    """As the loaders of pytorch-fid and torch-fidelity do, in memory."""
    import numpy
    import PIL.Image

    with open(path, "rb") as source:
        file = io.BytesIO(source.read())

    def step():
        file.seek(0)
        return numpy.asarray(PIL.Image.open(file).convert("RGB"))

    return step, 1


TASKS = {"unet-forward": unet_forward, "unet-train": unet_train, "points-train": points_train, "decode": decode}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=TASKS)
    work = parser.add_mutually_exclusive_group(required=True)
    work.add_argument("--batch", type=int)
    work.add_argument("--file")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    if (options.task == "decode") != (options.file is not None):
        parser.error("--file is for decode, --batch for the others")
    step, items = TASKS[options.task](options.file or options.batch)
    for _ in range(WARM_UP):
        step()
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < options.seconds:
        step()
        count += 1
    seconds = time.perf_counter() - begin
    print(json.dumps({"task": options.task, "items_per_second": count * items / seconds, "steps": count,
                      "batch": options.batch, "threads": torch.get_num_threads(),
                      "torch": torch.__version__}))


if __name__ == "__main__":
    main()
