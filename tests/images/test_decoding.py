"""Any photo becomes upright 8-bit RGB, or is refused for a stated reason."""

import re
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.images.decode_limits import MAX_ASPECT_RATIO, MAX_NUMBERS, MAX_READS, MAX_SCANS
from service.images.decoding import (
    BrokenPictureError,
    NotAPictureError,
    PictureError,
    TooManyPixelsError,
    UnsuitablePictureError,
    decode_picture,
    inspect_picture,
)
from service.images.formats.detection import FORMATS
from tests.encoded import encoded, noise

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def decode(content: bytes, max_pixels: int = 10_000) -> np.ndarray:
    return decode_picture(content, max_pixels=max_pixels).pixels


def two_pixels(left: tuple[int, ...], right: tuple[int, ...], mode: str = "RGB") -> Image.Image:
    image = Image.new(mode, (2, 1), left)
    image.putpixel((1, 0), right)
    return image


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_named_is_read(form):
    picture = decode_picture(encoded(Image.new("RGB", (4, 3), RED), form), max_pixels=100)
    assert picture.format == form
    assert picture.pixels.shape == (3, 4, 3)
    assert picture.pixels.dtype == np.uint8
    assert inspect_picture(encoded(Image.new("RGB", (4, 3)), form), max_pixels=100).format == form
    np.testing.assert_allclose(picture.pixels[1, 1], RED, atol=4)  # JPEG is not exact


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright_by_its_exif_tag(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = Image.new("RGB", (6, 4), RED)
    content = encoded(lying, exif=exif)
    assert decode(content).shape[:2] == ((4, 6) if orientation <= 4 else (6, 4))
    found = inspect_picture(content, max_pixels=24)
    assert (found.height, found.width) == decode(content).shape[:2]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow warns and goes on
@pytest.mark.parametrize(
    "exif",
    [b"II*\x00", b"II+\x00\x01\x00\x00\x00", b"??", b"MM\x00*" + bytes(8)],
    ids=["cut", "BigTIFF", "words", "cut directory"],
)
def test_unreadable_exif_turns_nothing(exif):
    assert decode(encoded(Image.new("RGB", (6, 4)), exif=exif)).shape == (4, 6, 3)


def test_orientation_6_puts_the_left_edge_on_top():
    exif = Image.Exif()
    exif[0x0112] = 6  # EXIF: row 0 of the stored picture is the right side of the upright one
    pixels = decode(encoded(two_pixels(RED, BLUE), exif=exif))
    assert pixels[:, 0].tolist() == [list(RED), list(BLUE)]


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "TIFF"])
def test_every_format_with_exif_is_turned_once(form):
    exif = Image.Exif()
    exif[0x0112] = 8
    content = encoded(Image.new("RGB", (16, 8), RED), form, exif=exif.tobytes())
    assert decode(content).shape[:2] == (16, 8)


def test_exif_that_cannot_be_written_back_does_no_harm():
    """Make (271) must be text by the standard, and is a fraction here."""
    entries = struct.pack("<HHII", 0x0112, 3, 1, 6) + struct.pack("<HHII", 271, 5, 1, 38)
    exif = b"II*\x00" + struct.pack("<IH", 8, 2) + entries + bytes(4) + struct.pack("<II", 1, 2)
    content = encoded(Image.new("RGB", (6, 4)), exif=b"Exif\x00\x00" + exif)
    assert decode(content).shape[:2] == (6, 4)


def test_a_palette_is_looked_up():
    pixels = decode(encoded(two_pixels(RED, BLUE).convert("P")))
    assert pixels[0].tolist() == [list(RED), list(BLUE)]


def test_grey_is_repeated_in_three_channels():
    assert decode(encoded(Image.new("L", (2, 2), 77)))[0, 0].tolist() == [77, 77, 77]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_shows_white(mode):
    clear = (0,) * len(mode)
    assert decode(encoded(Image.new(mode, (2, 2), clear)))[0, 0].tolist() == list(WHITE)


def test_a_half_transparent_pixel_is_mixed_with_white():
    pixels = decode(encoded(Image.new("RGBA", (1, 1), (255, 0, 0, 128))))
    np.testing.assert_allclose(pixels[0, 0], [255, 127, 127], atol=1)


def test_a_transparent_colour_of_a_palette_shows_white():
    image = two_pixels(RED, BLUE).convert("P", palette=Image.Palette.ADAPTIVE)
    clear = image.getpixel((0, 0))
    pixels = decode(encoded(image, transparency=clear))
    assert pixels[0].tolist() == [list(WHITE), list(BLUE)]


def test_sixteen_bits_are_converted_to_eight():
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    pixels = decode(encoded(Image.fromarray(levels)), max_pixels=65536)
    np.testing.assert_array_equal(pixels[:, :, 0], np.round(levels / 257))


def test_cmyk_becomes_rgb():
    content = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100)
    np.testing.assert_allclose(decode(content)[4, 4], RED, atol=6)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "TIFF"])
def test_the_first_frame_of_an_animation_counts(form):
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE)]
    content = encoded(frames[0], form, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(decode(content)[2, 2], RED, atol=8)


@pytest.mark.parametrize("look", [inspect_picture, decode_picture])
def test_floating_point_pixels_are_refused(look):
    with pytest.raises(NotAPictureError, match="8 or 16 bits"):
        look(encoded(Image.new("F", (2, 2), 0.5), "TIFF"), max_pixels=4)


UNREAD = {
    "JPEG 2000": [b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51\0\x2f"],
    "JPEG XL": [b"\xff\x0a\x10\0", b"\0\0\0\x0cJXL \r\n\x87\n"],
    "JPEG XR": [b"II\xbc\1"],
    "a raw photo": [
        b"II*\0\x10\0\0\0CR\2\0", b"FUJIFILMCCD-RAW 0201", b"IIRO\x08\0\0\0", b"IIU\0\x08\0\0\0",
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", b"FOVb\0\0\2\0", b"\0MRM\0\0\0\0",
    ],
    "a video": [
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
        b"\0\0\0\x08wide\0\0\0\0mdat", b"\x1aE\xdf\xa3\x01\0\0\0", b"RIFF\0\0\0\0AVI LIST",
        b"\0\0\1\xba\x44\0\4\0", b"\0\0\0\x1cftypM4V \0\0\0\1M4V ",
    ],
    "SVG": [b'<svg xmlns="http://www.w3.org/2000/svg"/>', b"\xef\xbb\xbf<?xml?><SVG/>"],
    "PDF": [b"%PDF-1.7\n"],
    "PostScript": [b"%!PS-Adobe-3.0 EPSF-3.0"],
    "a web page": [b"<!DOCTYPE html><html>", b"\n <html><body>404</body></html>"],
    "JSON": [b'{"image": "\xff"}'],
    "data: URL": [b"data:image/png;base64,iVBORw0KGgo="],
    "a picture in base64": [b"iVBORw0KGgoAAAANSUhEUg==", b"/9j/4AAQSkZJRg==", b"UklGRiQAAABXRUJQ"],
    "Photoshop": [b"8BPS\0\1\0\0"],
    "an icon": [b"\0\0\1\0\2\0\x10\x10", b"icns\0\0\0\0"],
    "OpenEXR": [b"\x76\x2f\x31\x01\2\0\0\0"],
    "Radiance": [b"#?RADIANCE\n"],
    "DICOM": [bytes(128) + b"DICM\2\0"],
    "PAM": [b"P7\nWIDTH 1\n"],
    "QOI": [b"qoif\0\0\0\1"],
    "NumPy": [b"\x93NUMPY\1\0v\0"],
    "ZIP": [b"PK\3\4\x14\0"],
    "a compressed file": [b"\x1f\x8b\x08\0"],
    "the file is empty": [b""],
}  # fmt: skip


@pytest.mark.parametrize("name", UNREAD)
@pytest.mark.parametrize("look", [inspect_picture, decode_picture])
def test_unsupported_formats_are_refused_by_name(name, look):
    for content in UNREAD[name]:
        with pytest.raises(NotAPictureError, match=re.escape(name)) as refused:
            look(content, max_pixels=4)
        assert "accepted are JPEG, PNG" in str(refused.value)
        assert not isinstance(refused.value, BrokenPictureError)


def test_a_damaged_picture_is_distinguished_from_other_files():
    with pytest.raises(BrokenPictureError, match=r"a broken picture \(PNG\)"):
        decode(b"\x89PNG\r\n\x1a\n" + bytes(40))
    with pytest.raises(BrokenPictureError, match=r"a broken picture \(TIFF\)"):
        decode(b"II*\0\xff\xff\xff\xff")


def header_of(width: int, height: int) -> bytes:
    """Return the beginning of a PNG that claims this size."""
    content = encoded(Image.new("L", (1, 1)))
    header = b"IHDR" + struct.pack(">II", width, height) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


@pytest.mark.parametrize("size", [(3000, 2000), (10_000, 10_000), (60_000, 60_000)])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(size):
    """Pillow itself warns about the second and refuses the third."""
    with pytest.raises(TooManyPixelsError):
        decode(header_of(*size), max_pixels=3000 * 2000 - 1)


def test_a_picture_of_as_many_pixels_as_allowed_is_read():
    assert decode(encoded(Image.new("L", (30, 20))), max_pixels=600).shape == (20, 30, 3)


@pytest.mark.parametrize("content", [b"", b"hello", b"<svg></svg>", b"%PDF-1.7", b"\x89PNG"])
def test_other_files_are_refused_with_the_supported_formats(content):
    with pytest.raises(NotAPictureError, match="JPEG") as refused:
        decode(content)
    assert not isinstance(refused.value, BrokenPictureError)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_a_picture_cut_short_is_broken(form, new_photo):
    content = new_photo(form=form)
    with pytest.raises(BrokenPictureError):
        decode(content[: len(content) // 2])


@pytest.mark.parametrize("look", [inspect_picture, decode_picture])
def test_indices_into_a_palette_that_is_missing_are_broken(look):
    content = encoded(Image.new("P", (1, 1)))
    start, end = content.index(b"PLTE") - 4, content.index(b"IDAT") - 4
    with pytest.raises(BrokenPictureError, match="missing palette"):
        look(content[:start] + content[end:], max_pixels=4)


@pytest.mark.parametrize("look", [inspect_picture, decode_picture])
def test_a_palette_of_negative_colours_is_broken(look):
    """A TIFF states the type of its numbers; Pillow converts them to bytes."""
    colour_map, unsigned, signed, many = 320, 3, 8, 768
    image = Image.new("P", (1, 1))
    image.putpalette([255] * 768)
    content = encoded(image, "TIFF")
    entry = struct.pack("<HHI", colour_map, unsigned, many)
    assert entry in content
    with pytest.raises(BrokenPictureError):
        look(content.replace(entry, struct.pack("<HHI", colour_map, signed, many)), max_pixels=1)


@pytest.mark.parametrize("size", [(1, MAX_ASPECT_RATIO + 1), (100_000, 1)])
def test_an_extremely_long_picture_is_refused(size):
    with pytest.raises(UnsuitablePictureError, match=f"received {size[0]} x {size[1]}"):
        decode(encoded(Image.new("L", size)), max_pixels=100_000)


def test_a_picture_of_the_longest_shape_is_read():
    assert decode(encoded(Image.new("L", (MAX_ASPECT_RATIO, 1)))).shape == (1, MAX_ASPECT_RATIO, 3)


def test_a_jpeg_of_endless_scans_is_refused():
    """Each scan of a few bytes covers all pixels again."""
    content = encoded(Image.new("L", (64, 64)), "JPEG", progressive=True)
    scan = content[content.rfind(b"\xff\xda") : -2]
    with pytest.raises(UnsuitablePictureError, match=f"{MAX_SCANS} scans"):
        decode(content[:-2] + scan * MAX_SCANS + b"\xff\xd9")
    assert decode(content[:-2] + scan * 10 + b"\xff\xd9").shape == (64, 64, 3)


def test_a_tiff_may_have_scans_in_each_of_its_strips():
    tags = {278: 8}  # rows of a strip; each strip is a JPEG
    content = encoded(Image.new("L", (400, 400)), "TIFF", compression="jpeg", tiffinfo=tags)
    assert content.count(b"\xff\xda") > MAX_SCANS
    assert decode(content, max_pixels=160_000).shape == (400, 400, 3)


def test_a_tiff_of_one_huge_tile_is_refused():
    tags = {256: 10, 257: 10, 258: 8, 259: 8, 262: 1, 277: 1}
    tags |= {322: 32_768, 323: 32_768, 324: 134, 325: 99}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    content = b"II*\x00" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + bytes(99)
    with pytest.raises(UnsuitablePictureError, match="a tile may have 10000 pixels"):
        decode(content)


SHORT, LONG, RATIONAL = 3, 4, 5  # types of 2, 4 and 8 bytes


def directory(tag: int, kind: int, count: int) -> bytes:
    """Return a TIFF of 8 x 8 pixels, or EXIF, with this entry."""
    given = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: 64}
    entries = {each: struct.pack("<HHII", each, LONG, 1, value) for each, value in given.items()}
    entries[tag] = struct.pack("<HHII", tag, kind, count, 8)
    head = b"II*\x00" + struct.pack("<IH", 8, len(entries))
    return head + b"".join(entries[each] for each in sorted(entries)) + bytes(4 + 8 * count)


@pytest.mark.parametrize(
    ("tag", "kind"),
    [(273, LONG), (282, RATIONAL), (274, SHORT)],
    ids=["strips", "resolution", "orientation"],
)
def test_a_tiff_of_endless_numbers_is_refused(tag, kind):
    with pytest.raises(UnsuitablePictureError, match=f"may have {MAX_NUMBERS} numbers"):
        decode(directory(tag, kind, MAX_NUMBERS))


def test_a_big_tiff_of_endless_numbers_is_refused():
    entry = struct.pack("<HHQQ", 273, LONG, MAX_NUMBERS + 1, 8)
    with pytest.raises(UnsuitablePictureError, match=f"may have {MAX_NUMBERS} numbers"):
        decode(b"II+\x00" + struct.pack("<HHQQ", 8, 0, 16, 1) + entry + bytes(8))


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_exif_of_endless_numbers_is_refused(form):
    exif = b"Exif\x00\x00" + directory(274, RATIONAL, MAX_NUMBERS)
    with pytest.raises(UnsuitablePictureError, match=f"may have {MAX_NUMBERS} numbers"):
        decode(encoded(Image.new("RGB", (8, 8)), form, exif=exif))


def test_a_jpeg_with_exif_in_many_segments_is_refused():
    exif = directory(282, RATIONAL, MAX_NUMBERS)
    parts = [b"Exif\x00\x00" + exif[at : at + 65_000] for at in range(0, len(exif), 65_000)]
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts)
    content = encoded(Image.new("RGB", (8, 8)), "JPEG")
    with pytest.raises(UnsuitablePictureError, match="segments of EXIF"):
        decode(content[:2] + segments + content[2:])


def test_a_tiff_with_a_strip_for_each_of_its_rows_is_read():
    rows = 10_000
    content = encoded(Image.new("L", (100, rows)), "TIFF", tiffinfo={278: 1})
    assert decode(content, max_pixels=10**6).shape == (rows, 100, 3)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (encoded(Image.new("L", (8, 8)), "JPEG")[:2], b"\xff\xfe\x00\x02"),  # empty comments
        (
            encoded(Image.new("L", (8, 8)))[:33],
            bytes(4) + b"abCd" + struct.pack(">I", zlib.crc32(b"abCd")),
        ),
        (b"GIF89a\x01\x00\x01\x00\x00\x00\x00", b"!\xfe\x01x\x00"),
        (b"P6 ", b"#\n"),
    ],
    ids=["JPEG", "PNG", "GIF", "PPM"],
)
def test_a_picture_in_very_many_pieces_is_refused(head, piece):
    with pytest.raises(UnsuitablePictureError, match=f"more than {MAX_READS} pieces"):
        decode(head + piece * MAX_READS)


@pytest.mark.parametrize(
    "content",
    [
        b"P3 1 1 255\n1 2 3\n",
        b"P6 1 1 100\n123",
        b"P6 1 1 65535\n112233",
        b"BM" + struct.pack("<IHHI", 84, 0, 0, 82)
        + struct.pack("<IiiHHIIiiII", 40, 4, 4, 1, 8, 1, 2, 0, 0, 7, 0) + bytes(28) + b"\x00\x01",
    ],
    ids=["plain PPM", "PPM of 100 levels", "PPM of 16 bits", "BMP of run lengths"],
)  # fmt: skip
def test_formats_that_pillow_decodes_in_python_are_refused_with_the_others(content):
    with pytest.raises(UnsuitablePictureError, match="BMP is accepted without run lengths"):
        decode(content)


def test_bytes_after_a_picture_are_ignored():
    content = encoded(Image.new("RGB", (4, 4), RED), "JPEG", quality=100)
    picture = decode_picture(content + b"<script>PK\x03\x04<?php", max_pixels=100)
    assert (picture.format, picture.pixels.shape) == ("JPEG", (4, 4, 3))


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "WEBP", "PPM"])
def test_a_picture_cut_at_any_length_is_refused_or_whole(form, new_photo):
    """Bytes after the last pixel may be missing."""
    content = new_photo(9, 7, form=form)
    whole = decode(content)
    for length in range(len(content)):
        try:
            assert np.array_equal(decode(content[:length]), whole), length
        except PictureError:
            continue


@pytest.mark.filterwarnings("ignore")  # Pillow's warnings about odd data
@pytest.mark.parametrize("form", FORMATS)
@settings(deadline=None)  # other processes share the machine
@given(
    position=st.integers(0, 5000), values=st.binary(min_size=1, max_size=8), cut=st.integers(0, 99)
)
def test_any_damage_gives_a_picture_or_a_picture_error(form, position, values, cut):
    whole = bytearray(encoded(noise(11, 9, seed=1), form))
    position %= len(whole)
    whole[position : position + len(values)] = values
    content = bytes(whole[: len(whole) - cut])
    try:
        pixels = decode(content)
    except PictureError as error:
        with pytest.raises(type(error)):  # the API refuses whatever a worker could not decode
            inspect_picture(content, max_pixels=10_000)
        return
    assert pixels.dtype == np.uint8
    found = inspect_picture(content, max_pixels=10_000)
    assert pixels.shape == (found.height, found.width, 3)
