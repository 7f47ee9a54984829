"""Synthetic Inception weights and images, the same bits as tests/support/synthetic_inception.cpp.

Element i of the stream called `name` is the i-th output of SplitMix64 seeded with the FNV-1a hash of the name.
"""
import math

import numpy as np

from hashes import fnv1a, splitmix64


def stream(name, count):
    """uint64 [count]."""
    return splitmix64(fnv1a(name), np.arange(count))


def signed_unit(name, count):
    """float64 [count] on [-1, 1), multiples of 2^-23."""
    return (stream(name, count) >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1.0


def tensor_value(name, shape):
    """float32 array of one entry of the state dict. Activations neither die nor explode (He et al. 2015)."""
    unit = signed_unit(name, math.prod(shape))
    if name.endswith(".conv.weight"):
        value = math.sqrt(6.0 / math.prod(shape[1:])) * unit
    elif name == "fc.weight":
        value = 0.25 * unit
    elif name.endswith(".bn.weight"):
        value = 1.0 + 0.25 * unit
    elif name.endswith(".bn.running_var"):
        value = 1.0 + 0.5 * unit
    else:
        value = 0.25 * unit
    return value.astype(np.float32).reshape(shape)



def state_dict(like):
    """The synthetic values for the names and shapes of the state dict `like`."""
    import torch

    result = {}
    for name, tensor in like.items():
        if name.endswith("num_batches_tracked"):
            result[name] = torch.zeros((), dtype=torch.int64)
        else:
            result[name] = torch.from_numpy(tensor_value(name, tuple(tensor.shape)))
    return result


def image(group, index, height, width, noise=24):
    """uint8 [3, height, width]: a bilinear field over a grid of 5 x 5 random bytes, plus noise. Integers only."""
    planes = []
    for channel in range(3):
        values = stream(f"image/{group}/{index}/{channel}", 25 + height * width)
        grid = (values[:25] >> np.uint64(56)).astype(np.int64).reshape(5, 5)
        y = np.arange(height) * 1024 // height
        x = np.arange(width) * 1024 // width
        cell_y, frac_y = (y >> 8)[:, None], (y & 255)[:, None]
        cell_x, frac_x = (x >> 8)[None, :], (x & 255)[None, :]
        top = grid[cell_y, cell_x] * (256 - frac_x) + grid[cell_y, cell_x + 1] * frac_x
        bottom = grid[cell_y + 1, cell_x] * (256 - frac_x) + grid[cell_y + 1, cell_x + 1] * frac_x
        smooth = (top * (256 - frac_y) + bottom * frac_y) >> 16
        grain = ((values[25:] >> np.uint64(32)) % np.uint64(2 * noise + 1)).astype(np.int64).reshape(height, width)
        planes.append(np.clip(smooth + grain - noise, 0, 255).astype(np.uint8))
    return np.stack(planes)


def images(group, count, height, width, noise=24):
    return np.stack([image(group, index, height, width, noise) for index in range(count)])
