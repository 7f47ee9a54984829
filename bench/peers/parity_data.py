"""Images that tools are compared on, the same bytes everywhere: small ones of one size, and mixed ones."""

import io
import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tools" / "golden"))
import synthetic_inception  # noqa: E402

NOISE = {"real": 24, "fake": 60}
SMALL, MIXED = 96, 36  # images on each side
SIZES = [(64, 64), (700, 500), (299, 299), (128, 333), (512, 96), (640, 480)]  # width and height, in turn


def encoded(pixels, index, grey):
    """A PNG, or of every third image a JPEG; uint8 [3, H, W] or its first channel alone."""
    import PIL.Image

    image = PIL.Image.fromarray(np.ascontiguousarray(pixels[0] if grey else pixels.transpose(1, 2, 0)))
    file = io.BytesIO()
    if index % 3 == 2:
        image.save(file, "JPEG", quality=92)
        return "jpg", file.getvalue()
    image.save(file, "PNG")
    return "png", file.getvalue()


def write(folder, images):
    folder.mkdir(parents=True, exist_ok=True)
    for index, (kind, content) in enumerate(images):
        path = folder / f"{index:03d}.{kind}"
        if not path.exists():
            path.write_bytes(content)


def make(out):
    """{"small": {"real": folder, "fake": folder}, "mixed": ...} below `out`."""
    folders = {}
    for side, noise in NOISE.items():
        small = [encoded(synthetic_inception.image(side, i, 32, 32, noise), 0, False) for i in range(SMALL)]
        mixed = []
        for i in range(MIXED):
            width, height = SIZES[i % len(SIZES)]
            mixed.append(encoded(synthetic_inception.image(f"{side}-mixed", i, height, width, noise), i, i % 5 == 4))
        for kind, images in (("small", small), ("mixed", mixed)):
            folder = out / "parity" / kind / side
            write(folder, images)
            folders.setdefault(kind, {})[side] = str(folder)
    return folders
