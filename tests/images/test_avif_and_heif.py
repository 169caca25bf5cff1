"""AVIF and HEIC, the formats of phones: turned once, flattened on white, of any bit depth."""

import io
import struct
import sys
import tracemalloc

import cv2
import numpy as np
import pytest
from PIL import Image

from service.images.decoding import (
    BrokenPictureError,
    NotAPictureError,
    PictureError,
    TooManyPixelsError,
    accepted_formats,
    decode_picture,
    inspect_picture,
)
from service.images.formats.detection import reads_heif
from tests.avifs import box, grid
from tests.encoded import encoded, noise
from tests.extras import import_or_skip

FORMS = ["AVIF", "HEIF"]
RED, GREEN, BLUE, WHITE = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]
every_form = pytest.mark.parametrize("form", FORMS)


def decode(content: bytes) -> np.ndarray:
    return decode_picture(content, max_pixels=10_000).pixels


def corners() -> Image.Image:
    """Return a 96 x 64 picture: red and green above, blue and white below."""
    quarters = np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8)
    return Image.fromarray(quarters.repeat(32, axis=0).repeat(48, axis=1))


def exif_of(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def colours(pixels: np.ndarray) -> list[list[int]]:
    """Return the names of the colours in the middle of the four quarters."""
    H, W, _ = pixels.shape
    middles = [
        (H // 4, W // 4),
        (H // 4, 3 * W // 4),
        (3 * H // 4, W // 4),
        (3 * H // 4, 3 * W // 4),
    ]
    return [[255 * int(level > 128) for level in pixels[middle]] for middle in middles]


UPRIGHT = {  # colours at the upper left, upper right, lower left, lower right, by orientation
    1: [RED, GREEN, BLUE, WHITE],
    2: [GREEN, RED, WHITE, BLUE],
    3: [WHITE, BLUE, GREEN, RED],
    4: [BLUE, WHITE, RED, GREEN],
    5: [RED, BLUE, GREEN, WHITE],
    6: [BLUE, RED, WHITE, GREEN],
    7: [WHITE, GREEN, BLUE, RED],
    8: [GREEN, WHITE, RED, BLUE],
}


@every_form
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_picture_is_turned_once_if_boxes_and_exif_agree(form, orientation):
    """Writers put the orientation into irot and imir, and leave it in EXIF too."""
    content = encoded(corners(), form, exif=exif_of(orientation), quality=90)
    pixels = decode(content)
    assert colours(pixels) == UPRIGHT[orientation]
    found = inspect_picture(content, max_pixels=10_000)
    assert (found.format, found.height, found.width) == (form, *pixels.shape[:2])


@every_form
def test_exif_alone_turns_nothing(form):
    """ISO/IEC 23008-12: the boxes turn the picture, and EXIF only informs."""
    content = encoded(corners(), form, exif=exif_of(6), quality=90)
    angle = content.index(b"irot") + 4
    unturned = content[:angle] + b"\0" + content[angle + 1 :]
    assert colours(decode(unturned)) == UPRIGHT[1]


@every_form
def test_transparency_shows_white(form):
    image = corners().convert("RGBA")
    alpha = np.full((64, 96), 255, np.uint8)
    alpha[:32, :48] = 0
    alpha[32:, :48] = 128
    image.putalpha(Image.fromarray(alpha))
    pixels = decode(encoded(image, form, quality=100)).astype(int)
    np.testing.assert_allclose(pixels[10, 10], WHITE, atol=6)
    np.testing.assert_allclose(pixels[50, 10], [127, 127, 255], atol=8)
    np.testing.assert_allclose(pixels[10, 80], GREEN, atol=8)


def test_heic_of_ten_bits_is_converted_to_eight():
    heif = import_or_skip("pillow_heif")
    levels = np.linspace(0, 65_535, 64 * 96).reshape(64, 96).astype(np.uint16)
    rgb = np.repeat(levels[..., np.newaxis], 3, axis=2)
    stream = io.BytesIO()
    heif.from_bytes("RGB;16", (96, 64), rgb.tobytes()).save(stream, quality=-1, chroma=444)
    np.testing.assert_allclose(decode(stream.getvalue()).astype(float), rgb / 257, atol=1.5)


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_avif_of_more_bits_is_converted_to_eight(bits):
    levels = np.round(ramp(96, 64) * (2**bits - 1) / 255)
    told = [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 100]
    bgr = levels[..., ::-1].astype(np.uint8 if bits == 8 else np.uint16)
    done, content = cv2.imencode(".avif", bgr, told)
    assert done
    np.testing.assert_allclose(decode(content.tobytes()).astype(float), ramp(96, 64), atol=1)


def ramp(width: int, height: int) -> np.ndarray:
    """Return levels 0..255 (H, W, 3), no part equal to another."""
    y, x = np.mgrid[:height, :width]
    channels = x / (width - 1), y / (height - 1), (x + y) / (height + width - 2)
    return 255 * np.stack(channels, axis=-1)


@pytest.mark.parametrize(("size", "turns"), [((128, 192), 0), ((100, 150), 0), ((128, 192), 1)])
def test_a_tiled_avif_is_read_as_one_picture(size, turns):
    """The last tiles are cropped if the picture is smaller than all tiles together."""
    content = grid(tiles(), 2, size, *[box(b"irot", bytes([turns]))] * turns)
    expected = np.rot90(ramp(128, 192)[: size[1], : size[0]], turns)
    pixels = decode_picture(content, max_pixels=30_000).pixels
    np.testing.assert_allclose(pixels.astype(float), expected, atol=4)


def test_an_avif_cropped_by_its_boxes_is_refused_by_name():
    """Pillow would show the whole picture."""
    crop = box(b"clap", struct.pack(">LLLLlLlL", 64, 1, 96, 1, 0, 1, 0, 1))
    for look in (decode_picture, inspect_picture):
        with pytest.raises(NotAPictureError, match=r"a cropped AVIF \(box clap\) is not supported"):
            look(grid(tiles(), 2, (128, 192), crop), max_pixels=30_000)


def tiles() -> list[bytes]:
    """Return the ramp of 128 x 192 as six square tiles."""
    whole = np.round(ramp(128, 192)).astype(np.uint8)
    corners = [(y, x) for y in (0, 64, 128) for x in (0, 64)]
    return [
        encoded(whole[y : y + 64, x : x + 64], "AVIF", quality=100, subsampling="4:4:4")
        for y, x in corners
    ]


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "RGB;16", "RGBA;16"])
def test_tiled_heic_with_more_bits_or_alpha_is_turned(orientation, mode, monkeypatch):
    heif = import_or_skip("pillow_heif")
    monkeypatch.setattr(heif.options, "GRID_TILE_SIZE", 128)
    levels, opaque = ramp(300, 200), np.full((200, 300, 1), 255.0)
    opaque[:100, :150], opaque[100:, :150] = 0, 128
    sent = levels[..., :1] if mode == "L" else levels
    expected = np.repeat(sent, 3, axis=2) if mode == "L" else levels
    if "A" in mode:
        sent = np.concatenate([levels, opaque], axis=2)
        expected = levels * opaque / 255 + 255 - opaque
    form = (257, np.uint16) if "16" in mode else (1, np.uint8)
    stream = io.BytesIO()
    heif.from_bytes(mode, (300, 200), np.round(sent * form[0]).astype(form[1]).tobytes()).save(
        stream, quality=95, exif=exif_of(orientation)
    )
    assert (b"grid" in stream.getvalue()) == ("A" not in mode)  # the writer does not tile alpha
    pixels = decode_picture(stream.getvalue(), max_pixels=60_000).pixels
    upright = np.rot90(expected, {1: 0, 3: 2, 6: -1, 8: 1}[orientation])
    np.testing.assert_allclose(pixels.astype(float), upright, atol=5)


@every_form
def test_grey_and_odd_sizes_are_read(form):
    for size in ((1, 1), (65, 33), (64, 1)):
        content = encoded(Image.new("L", size, 77), form, quality=90)
        pixels = decode(content)
        assert pixels.shape == (size[1], size[0], 3)
        np.testing.assert_allclose(pixels.astype(float), 77, atol=3)


@every_form
def test_the_first_of_several_pictures_is_read(form):
    if form == "AVIF":
        frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue")]
        content = encoded(frames[0], form, save_all=True, append_images=frames[1:], quality=90)
    else:
        heif = import_or_skip("pillow_heif").from_pillow(Image.new("RGB", (64, 48), "red"))
        heif.add_from_pillow(Image.new("RGB", (64, 48), "blue"))
        stream = io.BytesIO()
        heif.save(stream, quality=90)
        content = stream.getvalue()
    np.testing.assert_allclose(decode(content)[20, 20].astype(int), RED, atol=8)


@every_form
def test_too_many_pixels_are_refused(form):
    content = encoded(noise(110, 100), form)
    with pytest.raises(TooManyPixelsError, match="at most 10000 pixels"):
        decode(content)


@every_form
def test_false_sizes_take_no_memory(form):
    """The boxes say 64 x 64; the stream inside has 2048 x 2048."""
    whole = encoded(Image.new("RGB", (2048, 2048), "red"), form, quality=30)
    size = whole.index(b"ispe") + 8
    lying = whole.replace(whole[size : size + 8], struct.pack(">II", 64, 64))
    assert lying != whole
    for look in (decode_picture, inspect_picture):
        with pytest.raises((TooManyPixelsError, BrokenPictureError)):
            look(lying, max_pixels=10_000)
    asked = []

    class NoRoomError(Exception):
        pass

    def hold(bytes_: int):
        asked.append(bytes_)
        raise NoRoomError

    if form == "AVIF":  # AVIF is limited by the memory it takes, too
        with pytest.raises(NoRoomError):
            inspect_picture(lying, max_pixels=2048 * 2048, holding=hold)
        assert asked[0] >= 2048 * 2048 * 8


def test_tiles_that_are_nearly_invisible_take_no_memory():
    heif = import_or_skip("pillow_heif")
    stream, before = io.BytesIO(), heif.options.GRID_TILE_SIZE
    heif.options.GRID_TILE_SIZE = 512
    try:
        heif.from_pillow(Image.new("RGB", (2048, 2048), "red")).save(stream, quality=20)
    finally:
        heif.options.GRID_TILE_SIZE = before
    whole = stream.getvalue()
    assert decode_picture(whole, max_pixels=2048 * 2048).pixels.shape == (2048, 2048, 3)
    lying = whole.replace(struct.pack(">II", 2048, 2048), struct.pack(">II", 64, 64))
    lying = lying.replace(struct.pack(">HH", 2048, 2048), struct.pack(">HH", 64, 64))
    for look in (decode_picture, inspect_picture):
        with pytest.raises(TooManyPixelsError, match=f"{2048 * 2048} are coded in it"):
            look(lying, max_pixels=10_000)


@every_form
def test_a_file_cut_at_any_length_is_broken_or_whole(form):
    whole = encoded(noise(40, 30), form)
    pixels = decode(whole)
    for length in range(12, len(whole), 7):
        try:
            found = decode(whole[:length])
        except PictureError:
            continue
        assert found.shape == pixels.shape


def test_without_the_extra_heic_is_refused_with_its_name(monkeypatch, request):
    content = encoded(corners(), "HEIF")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    reads_heif.cache_clear()
    request.addfinalizer(reads_heif.cache_clear)
    for look in (decode_picture, inspect_picture):
        with pytest.raises(NotAPictureError, match=r"HEIC .*shapshot\[heic\]"):
            look(content, max_pixels=10_000)
    assert "AVIF" in accepted_formats()
    assert "HEIF" not in accepted_formats()


def test_a_hundred_thousand_units_of_an_avif_are_refused():
    """An item may be referenced any number of times, and be as long as the file."""
    content = encoded(noise(40, 30), "AVIF")
    tracemalloc.start()
    at = content.index(b"iloc") + 4
    damaged = content[: at + 6] + b"\xff\xff" + content[at + 8 :]  # as the number of items
    with pytest.raises(PictureError):
        decode(damaged)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
