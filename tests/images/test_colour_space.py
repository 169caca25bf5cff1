"""The colour space of a picture is found, with the difference of its levels from sRGB's.

The reference is Little CMS, which Pillow's wheels contain.
"""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from service.images.decoding import decode_picture
from service.images.formats.colour_space import ADOBE, P3, SRGB
from tests.encoded import encoded

FORMS = ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"]
LIKE_SRGB = ">4s4xH2x5l", b"para", 3, *(round(65536 * n) for n in (2.4, 1 / 1.055, 0.055 / 1.055))
CURVES = {
    "gamma 2.2": struct.pack(">4s4xLH2x", b"curv", 1, round(2.2 * 256)),
    "linear": struct.pack(">4s4xL", b"curv", 0),
    "table": struct.pack(
        ">4s4xL1024H", b"curv", 1024, *(65535 * np.linspace(0, 1, 1024) ** 1.8).astype(int)
    ),
    "like sRGB": struct.pack(*LIKE_SRGB, round(65536 / 12.92), round(65536 * 0.04045)),
    "gamma as number": struct.pack(">4s4xH2xl", b"para", 0, round(65536 * 1.9)),
    "from a place on": struct.pack(
        ">4s4xH2x4l", b"para", 2, *(round(65536 * n) for n in (2.0, 0.9, 0.05, 0.01))
    ),
}


def photo() -> Image.Image:
    rng = np.random.default_rng(3)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return small.resize((64, 48), Image.Resampling.BICUBIC)


def profile(name: str, matrix: np.ndarray, curve: bytes) -> bytes:
    """Return an ICC profile of version 2 for RGB."""
    text = name.encode()
    described = struct.pack(">4s4xL", b"desc", len(text) + 1) + text + bytes(1 + 78)
    white = np.array([0.9642, 1.0, 0.8249])
    points = {b"wtpt": white, b"rXYZ": matrix[:, 0], b"gXYZ": matrix[:, 1], b"bXYZ": matrix[:, 2]}
    tags = {b"desc": described, b"cprt": struct.pack(">4s4x4s", b"text", b"CC0\0")}
    for tag, point in points.items():
        tags[tag] = struct.pack(">4s4x3l", b"XYZ ", *np.round(65536 * point).astype(int))
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    at, table, data = 132 + 12 * len(tags), b"", b""
    for tag, content in tags.items():
        content += bytes(-len(content) % 4)
        table += struct.pack(">4sLL", tag, at + len(data), len(content))
        data += content
    pcs = struct.pack(">3l", *np.round(65536 * white).astype(int))
    head = struct.pack(
        ">L4xL4s4s4s12x4s28x", at + len(data), 0x02100000, b"mntr", b"RGB ", b"XYZ ", b"acsp"
    )
    return head + pcs + bytes(48) + struct.pack(">L", len(tags)) + table + data


def converted(image: Image.Image, icc: bytes) -> np.ndarray:
    """Convert levels to sRGB by Little CMS."""
    to = ImageCms.createProfile("sRGB")
    found = ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(icc)), to, 1)
    return np.asarray(found).astype(float)


def colours(content: bytes):
    return decode_picture(content, max_pixels=10_000).colours


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("matrix", [SRGB, P3, ADOBE], ids=["sRGB", "P3", "Adobe"])
def test_the_distance_from_srgb_agrees_with_little_cms(curve, matrix):
    icc = profile("A display", matrix, CURVES[curve])
    found = colours(encoded(photo(), "PNG", icc_profile=icc))
    moved = np.abs(converted(photo(), icc) - np.asarray(photo())).mean()
    assert found.name == "A display"
    assert found.shift(np.asarray(photo())) == pytest.approx(moved, abs=0.3)


@pytest.mark.parametrize("form", FORMS)
def test_every_format_reports_its_profile_and_no_pixel_is_converted(form):
    icc = profile("Display P3", P3, CURVES["like sRGB"])
    plain = decode_picture(encoded(photo(), form), max_pixels=10_000)
    named = decode_picture(encoded(photo(), form, icc_profile=icc), max_pixels=10_000)
    assert named.colours.name == "Display P3"
    np.testing.assert_array_equal(named.pixels, plain.pixels)
    shift = None if plain.colours is None else plain.colours.shift(plain.pixels)
    assert shift is None or shift < 0.1


def test_a_profile_of_version_4_is_read():
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    found = colours(encoded(photo(), "JPEG", icc_profile=icc))
    assert found.name == "sRGB built-in"
    assert found.shift(np.asarray(photo())) < 0.1


def test_an_unreadable_profile_counts_as_none():
    icc = profile("Display P3", P3, CURVES["like sRGB"])
    whole = encoded(photo(), "JPEG", icc_profile=icc)
    assert colours(whole) is not None
    assert colours(encoded(photo(), "JPEG", icc_profile=icc[:200])) is None
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(icc)
        for at in rng.integers(0, len(icc), 8):
            damaged[at] = rng.integers(256)
        found = colours(encoded(photo(), "JPEG", icc_profile=bytes(damaged)))
        assert found is None or found.shift(np.asarray(photo())) is None or found.name.isprintable()


def test_a_profile_of_many_bytes_in_a_png_is_not_unpacked():
    whole = encoded(photo(), "PNG")
    packed = b"x\0\0" + zlib.compress(bytes(200_000_000))
    chunk = struct.pack(">L", len(packed)) + b"iCCP" + packed
    chunk += struct.pack(">L", zlib.crc32(chunk[4:]))
    assert colours(whole[:33] + chunk + whole[33:]) is None


@pytest.mark.parametrize(
    ("codes", "name", "known"),
    [
        ((12, 13), "Display P3", True),
        ((9, 16), "BT.2020 PQ", False),
        ((1, 13), None, None),
        ((2, 2), None, None),
    ],
)
def test_code_points_of_png_avif_and_heic_are_reported(codes, name, known):
    info = PngInfo()
    info.add(b"cICP", bytes([*codes, 0, 1]))
    contents = [encoded(photo(), "PNG", pnginfo=info)]
    for form in ("AVIF", "HEIF"):
        content = encoded(photo(), form)
        at = content.index(b"colrnclx") + 8
        contents.append(content[:at] + struct.pack(">HH", *codes) + content[at + 4 :])
    for content in contents:
        found = colours(content)
        assert (found and found.name) == name
        if found:
            assert (found.shift(np.asarray(photo())) is not None) == known


def test_cameras_name_adobe_rgb_in_exif_alone():
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    found = colours(encoded(photo(), "JPEG", exif=exif.tobytes()))
    assert found.name == "Adobe RGB"
    assert found.shift(np.asarray(photo())) > 3
    exif.get_ifd(0x8769)[0xA005] = {1: "R98"}
    assert colours(encoded(photo(), "JPEG", exif=exif.tobytes())) is None


def test_grey_and_cmyk_are_distinguished_from_rgb():
    assert colours(encoded(photo().convert("CMYK"), "JPEG")).name == "CMYK"
    assert colours(encoded(photo().convert("L"), "JPEG")) is None
    assert colours(encoded(photo(), "JPEG")) is None


@pytest.mark.parametrize(("mode", "deep"), [("I;16", True), ("L", False)])
@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_levels_of_more_than_8_bits_are_reported(form, mode, deep):
    image = Image.new(mode, (20, 10), 200)
    assert decode_picture(encoded(image, form), max_pixels=1000).deep is deep
