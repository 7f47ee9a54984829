#!/usr/bin/env python3
"""Golden forward pass of the official DDPM U-Net, written a second time in plain functional PyTorch.

Prints tests/golden/unet_forward.txt. Weights and input are hashes of their names and positions, so that the C++ test
rebuilds them; everything is computed in float64.

Made with Python 3.11, PyTorch 1.13.0a0 (Debian's python3-torch 1.13.1), NumPy 1.24.2:
    python3 tools/golden/make_unet.py > tests/golden/unet_forward.txt
"""
import math

import numpy as np
import torch
import torch.nn.functional as F

from hashes import fnv1a, mix64

BASE, MULTIPLIERS, RES_BLOCKS, SIDE, ATTENTION, GROUPS = 32, (1, 2), 2, 8, (4,), 8
CHANNELS = 3


def hashed(name, shape):
    """Uniform on [-1, 1) with 24 bits: SplitMix64's output for FNV-1a(name) + position."""
    count = int(np.prod(shape))
    with np.errstate(over="ignore"):
        x = np.uint64(fnv1a(name)) + np.arange(count, dtype=np.uint64)
    unit = (mix64(x) >> np.uint64(40)).astype(np.float64) * 2.0**-24
    return torch.from_numpy(2 * unit - 1).reshape(shape)


def weight(name, *shape):
    """Unit gain: variance 1 / fan_in."""
    fan_in = int(np.prod(shape[1:]))
    return hashed(name, shape) * math.sqrt(3 / fan_in)


def conv(name, x, out, kernel=3, stride=1, padding=1):
    return F.conv2d(x, weight(name + ".weight", out, x.shape[1], kernel, kernel),
                    0.1 * hashed(name + ".bias", (out,)), stride=stride, padding=padding)


def dense(name, x, out):
    return F.linear(x, weight(name + ".weight", out, x.shape[1]), 0.1 * hashed(name + ".bias", (out,)))


def norm(name, x):
    c = x.shape[1]
    return F.group_norm(x, GROUPS, 1 + 0.1 * hashed(name + ".weight", (c,)),
                        0.1 * hashed(name + ".bias", (c,)), eps=1e-6)


def swish(x):
    return x * torch.sigmoid(x)


def resnet_block(name, x, temb, out):
    h = conv(name + ".conv1", swish(norm(name + ".norm1", x)), out)
    h = h + dense(name + ".temb_proj", swish(temb), out)[:, :, None, None]
    h = conv(name + ".conv2", swish(norm(name + ".norm2", h)), out)
    if x.shape[1] != out:
        x = conv(name + ".nin_shortcut", x, out, kernel=1, padding=0)
    return x + h


def attention_block(name, x):
    n, c, height, width = x.shape
    h = norm(name + ".norm", x)
    q, k, v = (conv(f"{name}.{part}", h, c, kernel=1, padding=0).reshape(n, c, -1) for part in "qkv")
    scores = torch.einsum("ncs,nct->nst", q, k) * c**-0.5
    h = torch.einsum("nst,nct->ncs", scores.softmax(dim=2), v).reshape(n, c, height, width)
    return x + conv(name + ".proj_out", h, c, kernel=1, padding=0)


def embedding(t):
    half = BASE // 2
    frequencies = torch.exp(torch.arange(half, dtype=torch.float64) * -(math.log(10000) / (half - 1)))
    angles = t.double()[:, None] * frequencies[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def unet(x, t):
    temb = dense("temb.dense.1", swish(dense("temb.dense.0", embedding(t), 4 * BASE)), 4 * BASE)
    skips = [conv("conv_in", x, BASE)]
    last = len(MULTIPLIERS) - 1
    for i, multiplier in enumerate(MULTIPLIERS):
        for j in range(RES_BLOCKS):
            h = resnet_block(f"down.{i}.block.{j}", skips[-1], temb, BASE * multiplier)
            if h.shape[2] in ATTENTION:
                h = attention_block(f"down.{i}.attn.{j}", h)
            skips.append(h)
        if i != last:
            skips.append(conv(f"down.{i}.downsample.conv", F.pad(skips[-1], (0, 1, 0, 1)), skips[-1].shape[1],
                              stride=2, padding=0))
    h = skips[-1]
    h = resnet_block("mid.block_1", h, temb, h.shape[1])
    h = attention_block("mid.attn_1", h)
    h = resnet_block("mid.block_2", h, temb, h.shape[1])
    for i in reversed(range(len(MULTIPLIERS))):
        for j in range(RES_BLOCKS + 1):
            h = resnet_block(f"up.{i}.block.{j}", torch.cat([h, skips.pop()], dim=1), temb,
                             BASE * MULTIPLIERS[i])
            if h.shape[2] in ATTENTION:
                h = attention_block(f"up.{i}.attn.{j}", h)
        if i != 0:
            h = conv(f"up.{i}.upsample.conv", F.interpolate(h, scale_factor=2, mode="nearest"), h.shape[1])
    assert not skips
    return conv("conv_out", swish(norm("norm_out", h)), CHANNELS)


def main():
    x = hashed("x_t", (2, CHANNELS, SIDE, SIDE))
    y = unet(x, torch.tensor([7, 911]))
    print(f"# U-Net forward, base {BASE}, multipliers {MULTIPLIERS}, {RES_BLOCKS} blocks, side {SIDE}, attention at "
          f"{ATTENTION}, {GROUPS} groups, t = 7, 911; shape {list(y.shape)}; PyTorch {torch.__version__}")
    for value in y.flatten().tolist():
        print(f"{value:.9e}")


if __name__ == "__main__":
    main()
