"""Writes tests/golden/bicubic.json: what Pillow's bicubic makes of synthetic images of 8 bits, as dgm-eval and torchvision's
transforms resize for DINOv2 and CLIP. A second.

    python3 tools/golden/make_bicubic.py tests/golden/bicubic.json     (Debian's python3-numpy, python3-pil)
"""
import hashlib
import json
import sys

import numpy as np
import PIL
import PIL.Image

import synthetic_inception as synthetic

SIDE = 224
# (height, width): up, both, the size itself, down, one pixel, one row, large.
SIZES = [(32, 32), (64, 300), (224, 224), (333, 500), (1, 1), (1, 9), (601, 800)]


def main(path):
    golden = {"versions": {"pillow": PIL.__version__, "numpy": np.__version__}, "side": SIDE, "cases": []}
    for index, (height, width) in enumerate(SIZES):
        image = PIL.Image.fromarray(synthetic.image("bicubic", index, height, width).transpose(1, 2, 0), "RGB")
        pixels = np.asarray(image.resize((SIDE, SIDE), PIL.Image.BICUBIC)).transpose(2, 0, 1)
        golden["cases"].append({"index": index, "height": height, "width": width,
                                "sha256_of_nchw": hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()})
    with open(path, "w") as file:
        json.dump(golden, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
