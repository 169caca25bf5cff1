"""What a picture may be, and the file that is uploaded."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.client.pictures import Address, file_of, png_of


def pixels_of(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("given_as", ["str", "path", "file", "bytes"])
def test_a_file_is_uploaded_as_it_is(tmp_path, photo, given_as):
    path = tmp_path / "cat.png"
    path.write_bytes(photo)
    with path.open("rb") as file:
        given = {"str": str(path), "path": path, "file": file, "bytes": photo}[given_as]
        name, content = file_of(given)
    assert content == photo
    assert name == ("picture" if given_as == "bytes" else "cat.png")


def test_a_url_is_sent_as_it_is_and_a_path_is_never_one():
    for url in ("https://example.org/cat.jpg", "HTTP://example.org"):
        assert file_of(url) == Address(url)
    with pytest.raises(FileNotFoundError):
        file_of(Path("https://example.org/cat.jpg"))


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 2), (5, 7, 3), (5, 7, 4), (1, 1, 3)])
def test_an_array_keeps_its_pixels(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    name, content = file_of(pixels)
    assert name == "picture.png"
    np.testing.assert_array_equal(pixels_of(content).reshape(shape), pixels)
    np.testing.assert_array_equal(pixels_of(file_of(pixels / 255)[1]).reshape(shape), pixels)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_an_image_of_pillow_is_uploaded_as_png(mode):
    image = Image.effect_noise((7, 5), 50).convert("RGB").convert(mode)
    _, content = file_of(image)
    with Image.open(io.BytesIO(content)) as uploaded:
        assert uploaded.format == "PNG"
        np.testing.assert_array_equal(uploaded.convert("RGB"), image.convert("RGB"))


def test_an_image_of_pillow_that_was_opened_keeps_the_name_of_its_file(tmp_path):
    Image.new("RGB", (3, 2)).save(tmp_path / "cat.jpg")
    with Image.open(tmp_path / "cat.jpg") as image:
        assert file_of(image)[0] == "cat.png"


@pytest.mark.parametrize(
    ("picture", "error", "said"),
    [
        (np.full((2, 2, 3), 255.0), ValueError, "in 0..1; received values from 255 to 255"),
        (np.full((2, 2, 3), np.nan), ValueError, "in 0..1; received values from nan to nan"),
        (np.zeros((2, 2, 3), np.int64), ValueError, "uint8.*or float.*received int64"),
        (np.zeros((2, 2, 5), np.uint8), ValueError, "received (2, 2, 5)"),
        (np.zeros((0, 2, 3), np.uint8), ValueError, "received (0, 2, 3)"),
        (Image.new("F", (2, 2)), ValueError, "mode F"),
        (io.StringIO("text"), TypeError, "open as text"),
        (3, TypeError, "received int"),
        (["cat.jpg"], TypeError, "received list; for several: explain_all"),
    ],
)
def test_what_is_no_picture_is_refused_with_what_was_received(picture, error, said):
    with pytest.raises(error) as refused:
        file_of(picture)
    assert re.search(said.replace("(", r"\(").replace(")", r"\)"), str(refused.value))


def test_a_smooth_picture_is_compressed():
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, np.newaxis], (256, 256, 3)[:2])
    assert len(png_of(np.ascontiguousarray(ramp)[:, :, np.newaxis])) < 2000
