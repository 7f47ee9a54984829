"""Writes tests/golden/numpy_stored.npz and numpy_deflated.npz. Made with NumPy 2.4.6.

Usage: python tools/golden/make_npz.py tests/golden
"""
import sys

import numpy as np

arrays = {"mu": np.arange(4, dtype=np.float32) / 4, "sigma": 2 * np.eye(4) + 1}
np.savez(f"{sys.argv[1]}/numpy_stored.npz", **arrays)
np.savez_compressed(f"{sys.argv[1]}/numpy_deflated.npz", **arrays)
