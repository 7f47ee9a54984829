"""Prints one JSON line: the versions in build/peers, and the BLAS and threads that NumPy, SciPy and PyTorch get."""

import ctypes
import importlib.metadata
import json
import os
import platform
import re

NUMERIC = re.compile(r"/(lib(open|c|f)?blas|liblapack|libmkl|libatlas|libblis)[^/]*\.so", re.I)
DISTRIBUTIONS = ("torchvision", "numpy", "scipy", "pillow", "pytorch-fid", "torch-fidelity", "clean-fid")


def numeric_libraries():
    """The linear algebra that this process has loaded, by its real paths."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        paths = [line.split(maxsplit=5)[5].strip() for line in maps if line.count("/") > 1]
    return {os.path.realpath(path) for path in paths if NUMERIC.search(path)}


def described(path):
    """An OpenBLAS says its version and kernels itself."""
    library = ctypes.CDLL(path)
    try:
        library.openblas_get_config.restype = ctypes.c_char_p
        return {"file": path, "says": library.openblas_get_config().decode().strip(),
                "threads": library.openblas_get_num_threads()}
    except AttributeError:
        return {"file": path}


def main():
    first = {}  # the module whose work has loaded it; NumPy is there before PyTorch in every one of the tools
    import numpy

    numpy.linalg.eigvals(numpy.ones((64, 64)) @ numpy.ones((64, 64)))
    first.update((path, "numpy") for path in numeric_libraries() - first.keys())
    import scipy.linalg

    scipy.linalg.sqrtm(numpy.eye(4))
    first.update((path, "scipy") for path in numeric_libraries() - first.keys())
    import torch

    torch.linalg.eigvalsh(torch.eye(4))
    first.update((path, "torch") for path in numeric_libraries() - first.keys())
    versions = {name: importlib.metadata.version(name) for name in DISTRIBUTIONS}
    print(json.dumps({
        "versions": {"torch": torch.__version__, **versions, "python": platform.python_version()},
        "blas": [dict(described(path), loaded_by=module) for path, module in sorted(first.items())],
        "torch_threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
