"""Writes tests/golden/images: small images of every kind and, beside each, NAME.npy with its RGB bytes [H, W, 3] as
Pillow's convert("RGB") gives them. 16-bit greyscale, which Pillow clips, is written from its high bytes instead.
Made with Pillow 13.0.0, NumPy 2.4.6, tifffile 2026.3.3 and imagecodecs 2026.3.6.

Usage: python tools/golden/make_images.py tests/golden/images
"""
import os
import sys

import numpy as np
import tifffile
from PIL import Image

os.makedirs(sys.argv[1], exist_ok=True)
os.chdir(sys.argv[1])
draw = np.random.default_rng(0)
rgba = draw.integers(0, 256, (5, 7, 4), dtype=np.uint8)
rgba[0, 0] = (200, 100, 50, 10)
rgb, grey = rgba[..., :3].copy(), rgba[..., 0].copy()
smooth = np.asarray(Image.fromarray(rgb).resize((19, 13), Image.Resampling.BICUBIC))
palette = Image.fromarray(rgb).quantize(16)


def keep(name, image, want=None, **options):
    image.save(name, **options)
    np.save(name + ".npy", np.asarray(Image.open(name).convert("RGB")) if want is None else want)


def thrice(plane):
    return np.repeat(plane[..., None], 3, axis=2)


keep("rgb.png", Image.fromarray(rgb))
keep("rgba.png", Image.fromarray(rgba))
keep("rgb_transparent_colour.png", Image.fromarray(rgb), transparency=(200, 100, 50))
keep("grey.png", Image.fromarray(grey))
keep("grey_alpha.png", Image.fromarray(rgba[..., [0, 3]]))
keep("bilevel.png", Image.fromarray(grey > 127))
keep("palette.png", palette)
keep("palette_transparent.png", palette, transparency=0)
keep("grey16.png", Image.fromarray(grey.astype(np.uint16) * 256 + 255), want=thrice(grey))
keep("colour.jpg", Image.fromarray(smooth), quality=90)
keep("progressive.jpg", Image.fromarray(smooth), quality=90, progressive=True)
keep("grey.jpg", Image.fromarray(smooth[..., 0]))
keep("cmyk.jpg", Image.fromarray(smooth).convert("CMYK"))
exif = Image.Exif()
exif[274] = 6  # turn by 90 degrees
keep("exif_rotated.jpg", Image.fromarray(smooth), exif=exif)
keep("lossless.webp", Image.fromarray(rgb), lossless=True)
keep("lossless_alpha.webp", Image.fromarray(rgba), lossless=True, exact=True)
keep("lossy.webp", Image.fromarray(smooth))
keep("lossy_alpha.webp", Image.fromarray(rgba))
keep("rgb.tiff", Image.fromarray(rgb))
keep("rgba.tiff", Image.fromarray(rgba))
keep("grey.tiff", Image.fromarray(grey))
keep("grey_alpha.tiff", Image.fromarray(rgba[..., [0, 3]]))
keep("bilevel.tiff", Image.fromarray(grey > 127))
keep("palette.tiff", palette)
keep("lzw.tiff", Image.fromarray(rgb), compression="tiff_lzw")
keep("grey16.tiff", Image.fromarray(grey.astype(np.uint16) * 256 + 255), want=thrice(grey))
keep("rgb.bmp", Image.fromarray(rgb))
keep("rgba.bmp", Image.fromarray(rgba))
keep("palette.bmp", palette)
keep("rgb.ppm", Image.fromarray(rgb))
keep("grey.pgm", Image.fromarray(grey))
keep("bilevel.pbm", Image.fromarray(grey > 127))



def keep_tiff(name, samples, want=None, **options):
    """Kinds that Pillow does not write."""
    tifffile.imwrite(name, samples, metadata=None, **options)
    np.save(name + ".npy", np.asarray(Image.open(name).convert("RGB")) if want is None else want)


wide = draw.integers(0, 256, (20, 37, 4), dtype=np.uint8)
planes = np.ascontiguousarray(wide[..., :3].transpose(2, 0, 1))
tiles = {"tile": (16, 16), "photometric": "rgb"}
keep_tiff("tiled_lzw.tiff", wide[..., :3], compression="lzw", predictor=True, **tiles)
keep_tiff("tiled.tiff", wide[..., 0], tile=(16, 16), photometric="minisblack", byteorder=">")
keep_tiff("planar_deflate.tiff", planes, compression="zlib", planarconfig="separate", rowsperstrip=7, photometric="rgb")
keep_tiff("planar16.tiff", planes.astype(np.uint16) * 256 + 255, want=wide[..., :3], planarconfig="separate",
          rowsperstrip=7, photometric="rgb", byteorder=">")  # Pillow mistakes these for noise
keep_tiff("packbits_white.tiff", wide[..., 0], compression="packbits", photometric="miniswhite", rowsperstrip=7)
keep_tiff("multiplied_alpha.tiff", wide, photometric="rgb", extrasamples=["assocalpha"])
keep_tiff("palette_tiled.tiff", wide[..., 0], tile=(16, 16), photometric="palette",
          colormap=draw.integers(0, 256, (3, 256)).astype(np.uint16) * 257)
keep("cmyk.tiff", Image.fromarray(wide, "CMYK"), compression="tiff_adobe_deflate")
keep("fax.tiff", Image.fromarray(wide[..., 0] > 127), compression="group4")
keep("jpeg.tiff", Image.fromarray(smooth), compression="jpeg")
for orientation in range(2, 9):
    keep(f"turned{orientation}.tiff", Image.fromarray(rgb), tiffinfo={274: orientation}, compression="tiff_lzw")

with open("plain.pbm", "w") as file:
    file.write("P1\n# a comment\n3 2\n101\n0 1 0\n")
np.save("plain.pbm.npy", np.asarray(Image.open("plain.pbm").convert("RGB")))
with open("rgb16.ppm", "wb") as file:
    file.write(b"P6 7 5 65535\n" + (rgb.astype(np.uint16) * 256 + 255).astype(">u2").tobytes())
np.save("rgb16.ppm.npy", rgb)
