"""`python -m benchmarks.decoding [--side PIXELS]`: the cost of pictures for API and workers.

By format: seconds, and peak memory without the file itself, in bytes per pixel, to inspect a
picture as the API does, and to decode it as a worker does; each in its own process.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from PIL import Image
from pillow_heif import from_pillow

from service.images.decoding import decode_picture, inspect_picture

FORMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "JPEG": ("RGB", "JPEG", {}),
    "progressive JPEG": ("RGB", "JPEG", {"progressive": True}),
    "CMYK JPEG": ("CMYK", "JPEG", {}),
    "PNG": ("RGB", "PNG", {"compress_level": 1}),
    "PNG with transparency": ("RGBA", "PNG", {"compress_level": 1}),
    "PNG of 16 bits": ("I;16", "PNG", {"compress_level": 1}),
    "WebP": ("RGB", "WEBP", {"method": 0}),
    "GIF": ("P", "GIF", {}),
    "TIFF": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "AVIF": ("RGB", "AVIF", {"speed": 10}),
    "AVIF with transparency": ("RGBA", "AVIF", {"speed": 10}),
    "HEIC": ("RGB", "HEIF", {"quality": 50}),
    "PNG of a clear grey": ("I;16", "PNG", {"compress_level": 1, "transparency": 257}),
}
ACTIONS: dict[str, Callable[..., object]] = {"inspect": inspect_picture, "decode": decode_picture}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoding", description=__doc__)
    parser.add_argument("--side", type=int, default=7000, help="of the square pictures, in pixels")
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)  # for the child process
    options = parser.parse_args()
    if options.only:
        _measure(*options.only)
        return
    rng = np.random.default_rng(0)
    few = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    photo = few.resize((options.side, options.side), Image.Resampling.BICUBIC)
    for name, (mode, form, how) in FORMS.items():
        with tempfile.NamedTemporaryFile() as file:
            if form == "HEIF":
                from_pillow(_in_mode(photo, mode)).save(file, **how)
            else:
                _in_mode(photo, mode).save(file, form, **how)
            file.flush()
            for action in ACTIONS:
                print(f"{name:24}{action:8}", end="", flush=True)
                child = [sys.executable, "-m", "benchmarks.decoding", "--only", action, file.name]
                subprocess.run(child, check=True)


def _in_mode(photo: Image.Image, mode: str) -> Image.Image:
    if mode != "I;16":
        return photo.convert(mode)
    return Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)


def _measure(action: str, path: str) -> None:
    content, before, began = Path(path).read_bytes(), _peak(), perf_counter()
    ACTIONS[action](content, max_pixels=10**9)
    seconds, grown = perf_counter() - began, _peak() - before
    found = inspect_picture(content, max_pixels=10**9)
    print(f"{seconds:6.2f} s {grown / (found.width * found.height):6.1f} bytes a pixel")


def _peak() -> int:
    """Return the peak memory of this process in bytes."""
    status = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in status if line.startswith("VmHWM:")]
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    main()
