"""Writes tests/golden/python.safetensors. Made with safetensors 0.8.0 and NumPy 2.4.6.

Usage: python tools/golden/make_safetensors.py tests/golden
"""
import sys

import numpy as np
from safetensors.numpy import save_file

tensors = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 4,
    "bias": np.array([-1.5, 2.0], dtype=np.float64),
    "steps": np.array([1, -2, 3], dtype=np.int64),
    "mask": np.array([True, False, True]),
}
save_file(tensors, f"{sys.argv[1]}/python.safetensors", metadata={"format": "pt"})
