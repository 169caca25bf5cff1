"""Mutants of files of every format: a picture or a reason, no other error, no excess of memory.

Bytes are flipped, removed, inserted and repeated at random, with a fixed seed. `SHAPSHOT_MUTANTS`
sets the number of mutants of each file; ten thousand take some minutes.
"""

import os
import resource
import struct
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from service.images.decoding import PictureError, decode_picture, inspect_picture
from tests.encoded import encoded, noise
from tests.images.test_png import chunk, png
from tests.tiffs import DEFLATE, tiff

COUNT = int(os.environ.get("SHAPSHOT_MUTANTS", "60"))
MAX_PIXELS = 100_000
MOST_BYTES = 400_000_000  # largest growth of the process, over all mutants of a file
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)

PHOTO = noise(37, 29)
GREY = np.random.default_rng(0).integers(0, 65_536, (29, 37))
EXIF = Image.Exif()
EXIF[0x0112] = 6


def whole_files() -> Iterator[tuple[str, bytes]]:
    for form in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "HEIF"):
        yield form, encoded(PHOTO, form)
    for form in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF"):
        yield f"{form} with EXIF", encoded(PHOTO, form, exif=EXIF.tobytes())
    yield "progressive JPEG", encoded(PHOTO, "JPEG", progressive=True)
    yield "JPEG without its end", encoded(PHOTO, "JPEG")[:-2]
    yield "JPEG with a film", encoded(PHOTO, "JPEG") + b"\0\0\0\x18ftypmp42" + bytes(100)
    yield "CMYK JPEG", encoded(Image.fromarray(PHOTO).convert("CMYK"), "JPEG")
    yield "MPO", encoded(PHOTO, "MPO", save_all=True, append_images=[Image.fromarray(PHOTO)])
    for form in ("PNG", "WEBP", "GIF", "AVIF"):
        other = [Image.fromarray(noise(37, 29, seed=1))]
        yield f"animated {form}", encoded(PHOTO, form, save_all=True, append_images=other)
    key = chunk(b"tRNS", struct.pack(">H", int(GREY[0, 0])))
    yield "grey PNG of 16 bits", png(GREY[..., np.newaxis], 16, 0, key)
    key = chunk(b"tRNS", struct.pack(">3H", 1, 2, 3))
    yield "PNG of 16 bits", png(np.stack([GREY] * 3, axis=2), 16, 2, key)
    yield "PNG of a palette", encoded(Image.fromarray(PHOTO).quantize(16), transparency=3)
    yield "TIFF of 16 bits", tiff(GREY, 16, 0, compression=DEFLATE)
    yield "TIFF of tiles", tiff(GREY >> 8, 8, 1, tile=16, order=">")
    yield "TIFF of a palette", tiff(GREY >> 12, 4, 3, t320=list(range(0, 48_000, 1000)))
    yield "TIFF of planes", tiff(PHOTO, 8, 2, planar=True, compression=DEFLATE)
    yield "BigTIFF", tiff(GREY, 16, 1, big=True)
    for compression in ("jpeg", "tiff_lzw", "packbits"):
        yield f"TIFF, {compression}", encoded(PHOTO, "TIFF", compression=compression)
    yield "fax", encoded(Image.fromarray(PHOTO).convert("1"), "TIFF", compression="group4")


def mutants(whole: bytes, count: int) -> Iterator[bytes]:
    random = np.random.default_rng(len(whole))
    for _ in range(count):
        content = bytearray(whole)
        for _ in range(int(random.integers(1, 5))):
            if not content:
                break
            # bytes of the header matter most
            near = random.random() < 0.5
            at = int(random.integers(0, min(len(content), 200 if near else len(content))))
            kind = int(random.integers(0, 7))
            size = int(2 ** random.integers(0, 6))
            if kind == 0:
                content[at] ^= 1 << int(random.integers(0, 8))
            elif kind == 1:
                content[at] = INTERESTING[int(random.integers(0, len(INTERESTING)))]
            elif kind == 2:
                del content[at : at + size]
            elif kind == 3:
                content[at:at] = random.bytes(size)
            elif kind == 4:
                content[at:at] = content[at : at + size] * int(random.integers(1, 9))
            elif kind == 5:
                content[at : at + 4] = struct.pack(">I", int(random.integers(0, 2**32)))
            else:
                del content[max(at, 1) :]
        yield bytes(content)


def memory_bytes() -> int:
    """Return the peak memory of this process."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@pytest.mark.filterwarnings("ignore")  # Pillow's warnings about odd data
@pytest.mark.parametrize(
    ("name", "whole"), list(whole_files()), ids=lambda each: each if isinstance(each, str) else ""
)
def test_the_api_and_the_worker_agree_on_every_mutant(name, whole):
    assert decode_picture(whole, max_pixels=MAX_PIXELS).pixels.size
    before = memory_bytes()
    for number, content in enumerate(mutants(whole, COUNT)):
        try:
            found = inspect_picture(content, max_pixels=MAX_PIXELS)
        except PictureError as refused:
            assert str(refused)  # noqa: PT017
            with pytest.raises(PictureError):
                decode_picture(content, max_pixels=MAX_PIXELS)
            continue
        pixels = decode_picture(content, max_pixels=MAX_PIXELS).pixels
        assert pixels.shape == (found.height, found.width, 3), number
    assert memory_bytes() - before < MOST_BYTES
