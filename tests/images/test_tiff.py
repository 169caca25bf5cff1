"""TIFFs of every layout are read as the standard says, or refused with the layout and reason.

The samples are drawn here and packed by hand (`tests/tiffs.py`); the expected pixels are computed
from the definition of each colour space, without Pillow.
"""

import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from service.images.decode_limits import MAX_SCANS
from service.images.decoding import (
    BrokenPictureError,
    NotAPictureError,
    PictureError,
    UnsuitablePictureError,
    decode_picture,
    inspect_picture,
)
from tests.encoded import encoded, noise
from tests.tiffs import DEFLATE, NONE, PACKBITS, pack, tiff, write

H, W = 21, 37
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, CIELAB = 0, 1, 2, 3, 5, 6, 8
PLACES = [
    {"order": order, "compression": compression, **place}
    for order in "<>"
    for compression in (NONE, DEFLATE, PACKBITS)
    for place in ({}, {"rows": 5}, {"tile": 16}, {"big": True})
    if not (place.get("big") and order == ">")
]


def decode(content: bytes) -> np.ndarray:
    return decode_picture(content, max_pixels=10_000).pixels


def drawn(bits: int, samples: int = 1, kind: str = "u") -> np.ndarray:
    """Draw samples over the whole range, (H, W) or (H, W, samples)."""
    shape = (H, W) if samples == 1 else (H, W, samples)
    random = np.random.default_rng(bits)
    if kind == "f":
        return random.random(shape)
    low, high = (0, 2**bits) if kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    values = random.integers(low, high, shape)
    values.flat[:2] = low, high - 1
    return values


def seen(samples: np.ndarray, bits: int, photometric: int) -> np.ndarray:
    """Convert samples of 0..2^bits-1 to what they look like: (H, W, 3), 0..255."""
    share = samples / (2**bits - 1)
    if photometric == CMYK:
        return 255 * (1 - share[..., :3]) * (1 - share[..., 3:4])
    if photometric == RGB:
        return 255 * share[..., :3]
    grey = 1 - share if photometric == WHITE_IS_ZERO else share
    return 255 * np.repeat(grey[..., np.newaxis], 3, axis=2)


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize(
    ("photometric", "bits", "samples"),
    [(grey, bits, 1) for grey in (WHITE_IS_ZERO, BLACK_IS_ZERO) for bits in (1, 2, 4, 8, 16)]
    + [(colour, bits, 3 if colour == RGB else 4) for colour in (RGB, CMYK) for bits in (8, 16)],
)
def test_pixels_agree_with_the_meaning_of_the_samples(photometric, bits, samples, place):
    values = drawn(bits, samples)
    content = tiff(values, bits, photometric, **place)
    off = 2.5 if (photometric, bits) == (CMYK, 16) else 1.0  # its low bytes are dropped
    expected = seen(values, bits, photometric)
    np.testing.assert_allclose(decode(content).astype(float), expected, atol=off)
    assert inspect_picture(content, max_pixels=H * W).width == W


def test_black_and_white_follow_the_photometric_interpretation():
    for bits in (1, 2, 4, 8, 16):
        levels = np.array([[0, 2**bits - 1]])
        assert decode(tiff(levels, bits, BLACK_IS_ZERO))[0, :, 0].tolist() == [0, 255]
        assert decode(tiff(levels, bits, WHITE_IS_ZERO))[0, :, 0].tolist() == [255, 0]


def test_twelve_bits_are_spread_over_all_levels():
    values = drawn(12)
    content = tiff(values, 12, BLACK_IS_ZERO)
    expected = seen(values, 12, BLACK_IS_ZERO)
    np.testing.assert_allclose(decode(content).astype(float), expected, atol=0.51)


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_are_looked_up(bits, place):
    values = drawn(bits)
    colours = np.random.default_rng(1).integers(0, 65_536, (3, 2**bits))
    content = tiff(values, bits, PALETTE, t320=colours.ravel().tolist(), **place)
    expected = np.moveaxis(colours[:, values], 0, 2) / 257
    np.testing.assert_allclose(decode(content).astype(float), expected, atol=1)


def test_a_palette_of_eight_bits_is_not_black():
    colours = np.array([[10, 200], [20, 30], [255, 0]])
    content = tiff(np.array([[0, 1]]), 1, PALETTE, t320=colours.ravel().tolist())
    assert decode(content)[0].tolist() == [[10, 20, 255], [200, 30, 0]]


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize(("photometric", "samples"), [(RGB, 3), (CMYK, 4)])
def test_separate_planes_of_eight_bits_are_interleaved(photometric, samples, place):
    values = drawn(8, samples)
    content = tiff(values, 8, photometric, planar=True, **place)
    expected = seen(values, 8, photometric)
    np.testing.assert_allclose(decode(content).astype(float), expected, atol=1)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("extra", "share"),
    [(0, None), (1, "premultiplied"), (2, "plain")],
    ids=["of no meaning", "premultiplied alpha", "alpha"],
)
def test_the_meaning_of_a_fourth_sample_is_that_of_its_tag(order, bits, extra, share):
    values = drawn(bits, 4)
    top = 2**bits - 1
    if share == "premultiplied":
        values[..., :3] = values[..., :3] * values[..., 3:] // top
    alpha = values[..., 3:] / top
    colour = 255 * values[..., :3] / top
    expected = {
        None: colour,
        "premultiplied": colour + 255 * (1 - alpha),
        "plain": colour * alpha + 255 * (1 - alpha),
    }[share]
    content = tiff(values, bits, RGB, order=order, t338=extra)
    # samples multiplied by a small alpha have lost their colour, and are nearly white
    np.testing.assert_allclose(decode(content).astype(float), expected, atol=3)


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_grey_with_a_second_sample_is_read_or_refused(extra):
    values = drawn(8, 2)
    if extra == 1:
        values[..., 0] = values[..., 0] * values[..., 1] // 255
    alpha = values[..., 1] / 255
    grey = values[..., 0].astype(float)
    expected = {0: grey, 1: grey + 255 * (1 - alpha), 2: grey * alpha + 255 * (1 - alpha)}[extra]
    pixels = decode(tiff(values, 8, BLACK_IS_ZERO, t338=extra)).astype(float)
    np.testing.assert_allclose(pixels, np.repeat(expected[..., np.newaxis], 3, axis=2), atol=3)


def test_lab_is_converted_to_srgb():
    """CIE values of sRGB's red and grey 119, relative to D50: (54, 81, 70) and (50, 0, 0)."""
    values = np.array([[[136, 81, 70], [128, 0, 0]]])  # L* of 0..100 in 0..255; a*, b* signed
    pixels = decode(tiff(values, 8, CIELAB))
    np.testing.assert_allclose(pixels[0].astype(float), [[255, 0, 0], [119, 119, 119]], atol=14)


@pytest.mark.parametrize(
    ("compression", "modes", "off"),
    [
        *(
            (name, ("L", "RGB", "I;16", "1"), 0)
            for name in ("tiff_lzw", "packbits", "tiff_deflate")
        ),
        *((name, ("L", "RGB", "I;16"), 0) for name in ("zstd", "lzma", "tiff_adobe_deflate")),
        *((name, ("1",), 0) for name in ("group3", "group4", "tiff_ccitt")),
        ("jpeg", ("L", "RGB"), 60),
    ],
)
def test_every_compression_named_is_read(compression, modes, off):
    gradient = np.add.outer(np.arange(32) * 4, np.arange(48) * 2).astype(np.uint8)
    for mode in modes:
        if mode == "I;16":
            image = Image.fromarray(gradient.astype(np.uint16) * 257)
        else:
            image = Image.fromarray(gradient).convert(mode)
        expected = gradient if mode != "1" else np.asarray(image) * 255
        pixels = decode(encoded(image, "TIFF", compression=compression))
        assert np.abs(pixels.astype(int) - expected[..., np.newaxis].astype(int)).max() <= off / 10


@pytest.mark.parametrize("compression", [NONE, DEFLATE])
@pytest.mark.parametrize(
    ("photometric", "bits", "samples"),
    [(0, 1, 1), (1, 1, 1), (0, 4, 1), (1, 8, 1), (0, 8, 1), (2, 8, 3), (1, 16, 1), (0, 16, 1)],
)
def test_bits_in_the_other_order_are_read_or_refused_as_such(
    photometric, bits, samples, compression
):
    """FillOrder 2: the lowest bit of a byte comes first."""
    values = drawn(bits, samples)
    plain = pack(values[..., np.newaxis] if samples == 1 else values, bits)
    block = zlib.compress(plain) if compression == DEFLATE else plain
    bits_of = np.unpackbits(np.frombuffer(block, np.uint8)).reshape(-1, 8)
    turned = np.packbits(bits_of[:, ::-1]).tobytes()
    tags = {256: W, 257: H, 258: [bits] * samples, 259: compression, 262: photometric, 266: 2}
    tags |= {277: samples, 278: H}
    content = write(tags, [turned])
    if (photometric, bits, compression) == (0, 8, NONE):  # Pillow cannot read this one
        with pytest.raises(
            NotAPictureError, match="not compressed, lowest bit first is not supported"
        ):
            decode(content)
        return
    pixels = decode(content).astype(float)
    np.testing.assert_allclose(pixels, seen(values, bits, photometric), atol=1)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("bits", "samples"), [(8, 1), (8, 3), (16, 1), (16, 3)])
def test_horizontal_differences_are_added_up(bits, samples, order):
    values = drawn(bits, samples).reshape(H, W, samples)
    steps = np.diff(values, axis=1, prepend=0) % 2**bits
    content = tiff(
        steps, bits, RGB if samples == 3 else 1, order=order, compression=DEFLATE, t317=2
    )
    expected = seen(values if samples == 3 else values[..., 0], bits, RGB if samples == 3 else 1)
    np.testing.assert_allclose(decode(content).astype(float), expected, atol=1)


REFUSED = [
    *[
        (drawn(bits, 1, "i"), bits, grey, {"kind": "i"}, "signed numbers have no defined black")
        for bits in (8, 16, 32)
        for grey in (WHITE_IS_ZERO, BLACK_IS_ZERO)
    ],
    *[
        (drawn(bits, 1, "f"), bits, grey, {"kind": "f"}, "floating-point pixels have no defined")
        for bits in (16, 32, 64)
        for grey in (WHITE_IS_ZERO, BLACK_IS_ZERO)
    ],
    (drawn(16, 3, "i"), 16, RGB, {"kind": "i"}, "3 samples of 16 bits, signed, RGB"),
    (drawn(32, 3, "f"), 32, RGB, {"kind": "f"}, "3 samples of 32 bits, floating-point, RGB"),
    (drawn(32), 32, BLACK_IS_ZERO, {}, "1 sample of 32 bits, unsigned, grey, black is zero"),
    (drawn(32), 32, WHITE_IS_ZERO, {}, "1 sample of 32 bits, unsigned, grey, white is zero"),
    (drawn(32, 3), 32, RGB, {}, "the level of white is not defined above 16 bits; send 8 or 16"),
    (drawn(12, 3), 12, RGB, {}, "a TIFF of 3 samples of 12 bits, unsigned, RGB"),
    (drawn(12), 12, WHITE_IS_ZERO, {}, "1 sample of 12 bits, unsigned, grey, white is zero"),
    (drawn(12), 12, PALETTE, {}, "1 sample of 12 bits, unsigned, palette"),
    (drawn(16), 16, PALETTE, {}, "1 sample of 16 bits, unsigned, palette"),
    (drawn(4, 3), 4, RGB, {}, "3 samples of 4 bits"),
    (drawn(16, 2), 16, BLACK_IS_ZERO, {"t338": 2}, "further samples"),
    (drawn(16, 3), 16, RGB, {"planar": True}, "not compressed, separate planes"),
    (drawn(16, 4), 16, CMYK, {"planar": True}, "separated inks, not compressed, separate planes"),
    (drawn(8, 4), 8, CMYK, {"t332": 2}, "its inks are not CMYK"),
    (drawn(8, 3), 8, YCBCR, {}, "YCbCr, not compressed"),
    (drawn(8, 3), 8, YCBCR, {"compression": DEFLATE}, "YCbCr, deflate"),
    (drawn(8, 3), 8, YCBCR, {"planar": True}, "YCbCr, not compressed, separate planes"),
    (drawn(8, 3), 8, 9, {}, "ICCLab"),
    (drawn(8), 8, 4, {}, "transparency mask"),
    (drawn(16), 16, 32803, {}, "a raw photo is not supported"),
    (drawn(8, 3), 8, RGB, {"t254": 1}, "begins with a thumbnail"),
    (drawn(8, 3), 8, RGB, {"t50706": [1, 4, 0, 0]}, "a raw photo is not supported"),
    *[
        (drawn(8), 8, BLACK_IS_ZERO, {"t259": compression}, name)
        for compression, name in (
            (6, "old JPEG"), (33003, "JPEG 2000"), (34712, "JPEG 2000"), (34887, "LERC"),
            (52546, "JPEG XL"), (50001, "WebP"), (12345, "compression 12345"),
        )
    ],
]  # fmt: skip


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("values", "bits", "photometric", "other", "reason"), REFUSED)
def test_layouts_that_would_be_misread_are_refused_by_name(
    values, bits, photometric, other, reason, order
):
    content = tiff(values, bits, photometric, order=order, **other)
    for look in (decode_picture, inspect_picture):
        with pytest.raises(NotAPictureError, match=reason) as refused:
            look(content, max_pixels=10_000)
        assert not isinstance(refused.value, BrokenPictureError)


def test_every_layout_is_read_correctly_or_refused_with_a_reason():
    """No valid layout comes out black, inverted or wrapped around."""
    for photometric in (*range(11), 32803, 34892):
        for bits in (1, 2, 4, 6, 8, 10, 12, 14, 16, 24, 32, 64):
            for samples in (1, 2, 3, 4, 5):
                for kind in "uif":
                    if (kind == "f" and bits < 16) or bits == 64 or (kind != "u" and bits % 8):
                        continue
                    wide = min(bits, 32)
                    values = drawn(wide if kind != "f" else bits, samples, kind)
                    if kind == "f" and bits == 24:
                        continue
                    if bits == 24 and kind == "i":
                        continue
                    content = tiff(values, bits, photometric, kind=kind, compression=DEFLATE)
                    try:
                        pixels = decode(content).astype(float)
                    except PictureError as refused:
                        assert str(refused), (photometric, bits, samples, kind)  # noqa: PT017
                        continue
                    assert kind == "u", (photometric, bits, samples, kind)
                    if photometric in (0, 1, 2, 5):
                        expected = seen(values, bits, photometric)
                        if samples in (1, 3) or photometric == CMYK:
                            assert np.abs(pixels - expected).max() < 3, (photometric, bits, samples)


def test_a_big_endian_bigtiff_is_refused_as_such():
    with pytest.raises(NotAPictureError, match="big-endian BigTIFF"):
        decode(tiff(drawn(8), 8, BLACK_IS_ZERO, order=">", big=True))


def retyped(content: bytes, tag: int, kind: int) -> bytes:
    """Change the type of an entry with one value, and leave the directory otherwise."""
    at = content.index(struct.pack("<HH", tag, 3))
    return content[: at + 2] + struct.pack("<H", kind) + content[at + 4 :]


@pytest.mark.parametrize("kind", [0, 2, 5, 7, 10, 11, 12, 14, 128, 65_535])
@pytest.mark.parametrize("tag", [258, 259, 262, 277, 284, 339])
def test_a_tag_of_an_invalid_type_gives_a_picture_error(tag, kind):
    content = retyped(tiff(drawn(16), 16, WHITE_IS_ZERO), tag, kind)
    for look in (decode_picture, inspect_picture):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                look(content, max_pixels=10_000)
            except PictureError as refused:
                assert str(refused)  # noqa: PT017


@pytest.mark.parametrize("kind", [1, 3, 4, 6, 8, 9, 13])
def test_a_sample_format_of_any_integer_type_is_used(kind):
    content = retyped(tiff(drawn(16, 1, "i"), 16, BLACK_IS_ZERO, kind="i"), 339, kind)
    with pytest.raises(NotAPictureError, match="signed numbers have no defined black"):
        decode(content)


# --- Limits


def jpeg_strip(extra_scans: int = 0) -> bytes:
    """Encode a strip of 64 x 8 pixels: a progressive JPEG with this many extra scans."""
    content = encoded(Image.new("L", (64, 8)), "JPEG", progressive=True)
    scan = content[content.rfind(b"\xff\xda") : -2]
    return content[:-2] + scan * extra_scans + b"\xff\xd9"


def jpeg_tiff(*strips: bytes, after: bytes = b"") -> bytes:
    tags = {256: 64, 257: 8 * len(strips), 258: 8, 259: 7, 262: 1, 277: 1, 278: 8}
    return write(tags, strips) + after


@pytest.mark.parametrize("strips", [1, 8])
def test_a_strip_of_endless_scans_is_refused(strips):
    content = jpeg_tiff(*[jpeg_strip()] * (strips - 1), jpeg_strip(MAX_SCANS))
    with pytest.raises(UnsuitablePictureError, match=f"{MAX_SCANS} scans"):
        decode(content)


def test_scans_of_other_pages_and_appended_bytes_do_not_count():
    content = jpeg_tiff(*[jpeg_strip()] * 3, after=b"\xff\xda" * 10_000)
    assert decode(content).shape == (24, 64, 3)
    pages = [Image.fromarray(noise(64, 64, seed=n)) for n in range(MAX_SCANS + 5)]
    book = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression="jpeg")
    assert book.count(b"\xff\xda") > MAX_SCANS
    assert decode(book).shape == (64, 64, 3)
