"""Numbers out of names and positions, the same bits as tests/support/hashes.h and core::mix64."""
import numpy as np

MASK = (1 << 64) - 1
GAMMA = np.uint64(0x9E3779B97F4A7C15)


def fnv1a(name):
    """The 64-bit FNV-1a hash of a string."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def mix64(x):
    """uint64 array of the same shape: the finaliser of SplitMix64 (Steele, Lea & Flood 2014)."""
    with np.errstate(over="ignore"):
        z = x.astype(np.uint64) + GAMMA
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def splitmix64(seed, index):
    """Outputs `index` (an array) of SplitMix64 seeded with `seed`."""
    with np.errstate(over="ignore"):
        return mix64(np.uint64(seed) + index.astype(np.uint64) * GAMMA)
