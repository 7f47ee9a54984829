"""The CIFAR-10 U-Net of Ho et al. 2020 in plain torch.nn, NCHW and eager, as users of PyTorch run it."""

import math

import torch
from torch import nn
from torch.nn import functional as F

BASE = 128
MULTIPLIERS = (1, 2, 2, 2)
BLOCKS = 2
ATTENTION_SIDE = 16
SIDE = 32
TIME = 4 * BASE
DROPOUT = 0.1
PARAMETERS = 35_746_307


def time_embedding(t, dim):
    half = dim // 2
    exponents = torch.arange(half, dtype=torch.float32) * (-math.log(10000) / (half - 1))
    angles = t.float()[:, None] * exponents.exp()[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def norm(channels):
    return nn.GroupNorm(32, channels, eps=1e-6)


class ResnetBlock(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.norm1 = norm(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.temb_proj = nn.Linear(TIME, outputs)
        self.norm2 = norm(outputs)
        self.dropout = nn.Dropout(DROPOUT)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, temb):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.temb_proj(F.silu(temb))[:, :, None, None]
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        return self.nin_shortcut(x) + h


class AttnBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = norm(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        n, c, height, width = x.shape
        h = self.norm(x)
        q = self.q(h).reshape(n, c, height * width).transpose(1, 2)
        k = self.k(h).reshape(n, c, height * width)
        v = self.v(h).reshape(n, c, height * width)
        weights = torch.softmax(torch.bmm(q, k) * c ** -0.5, dim=2)
        mixed = torch.bmm(v, weights.transpose(1, 2)).reshape(n, c, height, width)
        return x + self.proj_out(mixed)


class Downsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense0 = nn.Linear(BASE, TIME)
        self.dense1 = nn.Linear(TIME, TIME)
        self.conv_in = nn.Conv2d(3, BASE, 3, padding=1)
        widths = [BASE * multiplier for multiplier in MULTIPLIERS]
        sides = [SIDE >> level for level in range(len(widths))]
        channels, skips = BASE, [BASE]
        self.down, self.down_attention, self.downsample = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(widths):
            blocks, attention = nn.ModuleList(), nn.ModuleList()
            for _ in range(BLOCKS):
                blocks.append(ResnetBlock(channels, width))
                attention.append(AttnBlock(width) if sides[level] == ATTENTION_SIDE else nn.Identity())
                channels = width
                skips.append(channels)
            self.down.append(blocks)
            self.down_attention.append(attention)
            if level + 1 < len(widths):
                self.downsample.append(Downsample(channels))
                skips.append(channels)
        self.middle = nn.ModuleList(
            [ResnetBlock(channels, channels), AttnBlock(channels), ResnetBlock(channels, channels)])
        self.up, self.up_attention, self.upsample = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(len(widths))):
            blocks, attention = nn.ModuleList(), nn.ModuleList()
            for _ in range(BLOCKS + 1):
                blocks.append(ResnetBlock(channels + skips.pop(), widths[level]))
                attention.append(
                    AttnBlock(widths[level]) if sides[level] == ATTENTION_SIDE else nn.Identity())
                channels = widths[level]
            self.up.append(blocks)
            self.up_attention.append(attention)
            if level > 0:
                self.upsample.append(Upsample(channels))
        self.norm_out = norm(channels)
        self.conv_out = nn.Conv2d(channels, 3, 3, padding=1)
        count = sum(parameter.numel() for parameter in self.parameters())
        assert count == PARAMETERS, count

    def forward(self, x, t):
        temb = self.dense1(F.silu(self.dense0(time_embedding(t, BASE))))
        h = self.conv_in(x)
        skips = [h]
        for level, (blocks, attention) in enumerate(zip(self.down, self.down_attention)):
            for block, attend in zip(blocks, attention):
                h = attend(block(h, temb))
                skips.append(h)
            if level < len(self.downsample):
                h = self.downsample[level](h)
                skips.append(h)
        first, attend, second = self.middle
        h = second(attend(first(h, temb)), temb)
        for level, (blocks, attention) in enumerate(zip(self.up, self.up_attention)):
            for block, attend in zip(blocks, attention):
                h = attend(block(torch.cat([h, skips.pop()], dim=1), temb))
            if level < len(self.upsample):
                h = self.upsample[level](h)
        return self.conv_out(F.silu(self.norm_out(h)))
