"""PNGs with any data beside their pixels, and every kind of transparency."""

import struct
import zlib

import numpy as np
import pytest

from service.images.decoding import (
    BrokenPictureError,
    PictureError,
    decode_picture,
    inspect_picture,
)
from tests.encoded import encoded, noise

WHITE = [255, 255, 255]
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def decode(content: bytes) -> np.ndarray:
    return decode_picture(content, max_pixels=10_000).pixels


def chunk(kind: bytes, data: bytes = b"", *, wrong: bool = False) -> bytes:
    checksum = zlib.crc32(kind + data) ^ wrong
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(
    samples: np.ndarray, bits: int, colour: int, *before: bytes, interlaced: bool = False
) -> bytes:
    """Encode samples (H, W, S) as a PNG; `before` are chunks before the pixels."""
    H, W, _ = samples.shape
    head = struct.pack(">IIBBBBB", W, H, bits, colour, 0, 0, 0)
    rows = samples.reshape(H, -1)
    if bits < 8:
        shifts = np.arange(bits - 1, -1, -1)
        each = (rows[..., np.newaxis] >> shifts & 1).astype(np.uint8)
        packed = np.packbits(each.reshape(H, -1), axis=1)
        lines = [row.tobytes() for row in packed]
    else:
        lines = [row.astype(f">u{bits // 8}").tobytes() for row in rows]
    data = zlib.compress(b"".join(b"\0" + line for line in lines))
    chunks = chunk(b"IHDR", head), *before, chunk(b"IDAT", data), chunk(b"IEND")
    return SIGNATURE + b"".join(chunks)


def with_chunks(content: bytes, *chunks: bytes) -> bytes:
    """Insert chunks after the header."""
    return content[:33] + b"".join(chunks) + content[33:]


PHOTO = encoded(noise(31, 23))
MEGABYTES = zlib.compress(bytes(3_000_000))
BESIDE = {
    "megabytes of text": [chunk(b"zTXt", b"Comment\0\0" + MEGABYTES)],
    "a megabyte of plain text": [chunk(b"tEXt", b"Comment\0" + b"x" * 2_000_000)],
    "megabytes of text, translated": [chunk(b"iTXt", b"Comment\0\1\0\0\0" + MEGABYTES)],
    "a thousand texts": [chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(900_000)))] * 1000,
    "a profile of megabytes": [chunk(b"iCCP", b"profile\0\0" + MEGABYTES)],
    "a broken profile": [chunk(b"iCCP", b"profile\0\0" + b"no zlib")],
    "an unknown compression": [chunk(b"iCCP", b"profile\0\7" + MEGABYTES)],
    "broken text": [chunk(b"zTXt", b"Comment\0\0" + b"no zlib")],
    "a wrong checksum of text": [chunk(b"tEXt", b"Comment\0hello", wrong=True)],
    "a wrong checksum of gamma": [chunk(b"gAMA", b"\0\0\xb1\x8f", wrong=True)],
    "a wrong checksum of EXIF": [chunk(b"eXIf", b"II*\0" + bytes(8), wrong=True)],
    "a wrong checksum of an animation": [chunk(b"acTL", bytes(8), wrong=True)],
    "chunks that are too short": [chunk(b"pHYs", b"\0"), chunk(b"cHRM"), chunk(b"sRGB")],
    "an animation without frames": [chunk(b"acTL", struct.pack(">II", 1000, 0))],
    "chunks of one's own": [chunk(b"prVt", b"anything"), chunk(b"npTc", b"anything")],
}


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
def test_chunks_that_do_not_affect_pixels_are_ignored(beside):
    content = with_chunks(PHOTO, *beside)
    np.testing.assert_array_equal(decode(content), decode(PHOTO))
    assert inspect_picture(content, max_pixels=10_000).format == "PNG"


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"])
def test_a_wrong_checksum_of_a_critical_chunk_is_named(kind):
    samples = np.zeros((2, 2, 1), int)
    whole = png(samples, 8, 3, chunk(b"PLTE", bytes(6)), chunk(b"tRNS", b"\0"))
    at = whole.index(kind) + 4 + struct.unpack_from(">I", whole, whole.index(kind) - 4)[0]
    damaged = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    with pytest.raises(BrokenPictureError, match=f"the checksum of chunk {kind.decode()} is wrong"):
        decode(damaged)


def test_an_unknown_critical_chunk_is_named():
    with pytest.raises(BrokenPictureError, match="unknown critical chunk ABCD"):
        decode(with_chunks(PHOTO, chunk(b"ABCD")))


def test_appended_bytes_are_ignored():
    appended = PHOTO + b"PK\3\4" + chunk(b"zTXt", b"x" * 100) * 1000 + SIGNATURE
    np.testing.assert_array_equal(decode(appended), decode(PHOTO))


def test_exif_still_turns_the_picture_before_or_after_the_pixels():
    entry = struct.pack("<HHII", 0x0112, 3, 1, 6)
    exif = chunk(b"eXIf", b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4))
    assert decode(with_chunks(PHOTO, exif)).shape == (31, 23, 3)
    assert decode(PHOTO[:-12] + exif + PHOTO[-12:]).shape == (31, 23, 3)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_the_transparent_level_of_grey_shows_white(bits):
    top = 2**bits - 1
    clear = top // 3
    values = np.array([0, clear, min(clear + 1, top), top]).reshape(1, 4, 1)
    content = png(values, bits, 0, chunk(b"tRNS", struct.pack(">H", clear)))
    shown = np.round(values[0, :, 0] / top * 255)
    shown[values[0, :, 0] == clear] = 255
    assert decode(content)[0, :, 0].tolist() == shown.tolist()
    assert inspect_picture(content, max_pixels=4).width == 4


def test_a_transparent_16_bit_level_does_not_match_its_neighbour():
    values = np.array([[[1000], [1001], [1000 + 256], [999]]])
    content = png(values, 16, 0, chunk(b"tRNS", struct.pack(">H", 1001)))
    assert decode(content)[0, :, 0].tolist() == [4, 255, 5, 4]


@pytest.mark.parametrize("bits", [8, 16])
def test_the_transparent_colour_of_rgb_shows_white(bits):
    top = 2**bits - 1
    colour = [top // 2, 7, top]
    near = [[top // 2 + 1, 7, top], [top // 2, 6, top], [top // 2, 7, top - 1]]
    values = np.array([[colour, *near]])
    content = png(values, bits, 2, chunk(b"tRNS", struct.pack(">3H", *colour)))
    pixels = decode(content)[0]
    assert pixels[0].tolist() == WHITE
    np.testing.assert_allclose(pixels[1:].astype(float), np.array(near) / top * 255, atol=1)
    assert (pixels[1:] != 255).any(axis=1).all()


def test_bits_of_a_transparent_level_beyond_its_depth_do_not_count():
    content = png(np.array([[[1], [2]]]), 2, 0, chunk(b"tRNS", struct.pack(">H", 0xFF02)))
    assert decode(content)[0, :, 0].tolist() == [85, 255]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colour", [4, 6])
def test_alpha_of_either_depth_is_blended_with_white(bits, colour):
    top = 2**bits - 1
    samples = 2 if colour == 4 else 4
    values = np.random.default_rng(0).integers(0, top + 1, (5, 7, samples))
    alpha = values[..., -1:] / top
    expected = values[..., :-1] / top * 255 * alpha + 255 * (1 - alpha)
    pixels = decode(png(values, bits, colour)).astype(float)
    np.testing.assert_allclose(pixels, np.broadcast_to(expected, pixels.shape), atol=2)


def test_a_transparency_that_is_too_short_is_broken():
    with pytest.raises(BrokenPictureError, match="chunk tRNS is too short"):
        decode(png(np.zeros((1, 1, 3), int), 8, 2, chunk(b"tRNS", b"\0\0")))


def test_api_and_worker_agree_on_transparent_colours_and_damage():
    whole = png(np.zeros((3, 3, 1), int), 16, 0, chunk(b"tRNS", b"\0\0"))
    for length in range(len(whole)):
        endings = []
        for look in (decode_picture, inspect_picture):
            try:
                look(whole[:length], max_pixels=9)
                endings.append("read")
            except PictureError as error:
                endings.append(str(error))
        assert endings[0] == endings[1], length
