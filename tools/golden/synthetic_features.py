"""Features that Python and the C++ tests rebuild bit for bit from a seed: tests/support/synthetic_features.h is the twin."""
import numpy as np

from hashes import splitmix64


def uniforms(seed, index):
    """Outputs `index` of SplitMix64 seeded with `seed`, on [0, 1) with 53 bits."""
    return (splitmix64(seed, index) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def bell(seed, index):
    """Sum of three uniforms, centred: variance 1/4."""
    first = index * 3
    return uniforms(seed, first) + uniforms(seed, first + 1) + uniforms(seed, first + 2) - 1.5


def features(seed, count, dim, offset=0.0, scale=1.0):
    """float32 [count, dim]: column j has its own spread and shares one of eight factors with every eighth column."""
    row, col = np.meshgrid(np.arange(count), np.arange(dim), indexing="ij")
    spread = 1.0 / (1.0 + col / (dim / 4.0))
    value = offset + scale * (spread * bell(seed, row * dim + col) + 0.5 * bell(seed + 1, row * 8 + col % 8))
    return value.astype(np.float32)
