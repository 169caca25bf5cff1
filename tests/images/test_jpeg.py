"""Only the picture in a JPEG matters: not data after it, nor a missing end marker."""

import io
import re
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.images.decode_limits import MAX_EXIF, MAX_SCANS
from service.images.decoding import (
    BrokenPictureError,
    NotAPictureError,
    PictureError,
    UnsuitablePictureError,
    decode_picture,
    inspect_picture,
)
from tests.encoded import encoded, noise

KINDS = [
    {},
    {"progressive": True},
    {"optimize": True, "subsampling": 0},
    {"restart_marker_blocks": 2},
    {"progressive": True, "restart_marker_rows": 1},
]
kinds = pytest.mark.parametrize("kind", KINDS, ids=str)


def decode(content: bytes) -> np.ndarray:
    return decode_picture(content, max_pixels=10_000).pixels


def jpeg(kind: dict[str, object], seed: int = 0) -> bytes:
    return encoded(noise(53, 37, seed=seed), "JPEG", **kind)


@kinds
def test_the_film_in_a_motion_photo_is_ignored(kind):
    """The film contains markers by chance: a scan, a start and end, EXIF, comments."""
    whole = jpeg(kind)
    odd = b"\xff\xda\x00\x04\x00\x00\xff\xd8\xff\xe1\x00\x0aExif\x00\x00\xff\xd9\xff\xfe\x00\x02"
    film = b"\x00\x00\x00\x18ftypmp42" + odd * 50_000
    assert film.count(b"\xff\xda") > MAX_SCANS
    np.testing.assert_array_equal(decode(whole + film), decode(whole))
    assert inspect_picture(whole + film, max_pixels=10_000).format == "JPEG"


def test_the_first_picture_of_an_mpo_is_read():
    pictures = [Image.fromarray(noise(53, 37, seed=n)) for n in range(60)]
    content = encoded(pictures[0], "MPO", save_all=True, append_images=pictures[1:])
    assert content.count(b"\xff\xda") > MAX_SCANS
    found = inspect_picture(content, max_pixels=10_000)
    assert (found.format, found.width, found.height) == ("JPEG", 53, 37)
    np.testing.assert_array_equal(decode(content), decode(encoded(pictures[0], "JPEG")))


@kinds
def test_a_jpeg_without_its_last_two_bytes_is_read(kind):
    whole = jpeg(kind)
    assert whole.endswith(b"\xff\xd9")
    np.testing.assert_array_equal(decode(whole[:-2]), decode(whole))
    np.testing.assert_array_equal(decode(whole[:-1]), decode(whole))
    another = jpeg({}, seed=1)  # begins where the first should have ended
    np.testing.assert_array_equal(decode(whole[:-2] + another), decode(whole))


@kinds
def test_a_jpeg_that_ends_in_zeros_is_broken(kind):
    """As in an interrupted download into a file of full size."""
    whole = jpeg(kind)
    zeros = bytes(50_000)
    np.testing.assert_array_equal(decode(whole[:-2] + zeros), decode(whole))
    for share in (0.5, 0.7, 0.9):
        with pytest.raises(BrokenPictureError):
            decode(whole[: int(len(whole) * share)] + zeros)


@kinds
def test_a_jpeg_that_is_cut_earlier_is_broken(kind):
    whole = jpeg(kind)
    cuts = [*range(3, 400, 23), *np.linspace(400, len(whole) - 5, 60).astype(int).tolist()]
    for length in cuts:
        with pytest.raises(BrokenPictureError):
            decode(whole[:length])


def test_a_progressive_jpeg_without_its_last_scans_is_broken():
    """Each scan covers the whole picture, which is complete but coarse."""
    whole = jpeg({"progressive": True})
    for number in range(2, whole.count(b"\xff\xda")):
        at = -1
        for _ in range(number):
            at = whole.index(b"\xff\xda", at + 1)
        with pytest.raises(BrokenPictureError, match="a part of the picture is missing"):
            decode(whole[:at])


def photo(width: int = 160, height: int = 120) -> np.ndarray:
    """Return a smooth photo, whose blocks take few bits: (H, W, 3) uint8."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def apart(levels: np.ndarray) -> bytes:
    """Encode a sequential JPEG with one scan for each of three components."""
    single = [
        encoded(Image.fromarray(level), "JPEG", quality=90) for level in np.rollaxis(levels, 2)
    ]
    frame, begin = (single[0].index(marker) for marker in (b"\xff\xc0", b"\xff\xda"))
    size = single[0][frame + 5 : frame + 9]
    components = b"".join(bytes([n, 0x11, 0]) for n in (1, 2, 3))
    content = single[0][:frame] + b"\xff\xc0\x00\x11\x08" + size + b"\x03" + components
    content += single[0][frame + 13 : begin]
    for n, one in enumerate(single, start=1):
        content += b"\xff\xda\x00\x08\x01" + bytes([n, 0, 0, 63, 0])
        content += one[one.index(b"\xff\xda") + 10 : -2]
    return content + b"\xff\xd9"


def of_each_kind() -> dict[str, bytes]:
    found = {str(kind): encoded(photo(), "JPEG", **kind) for kind in KINDS}
    modes = {
        mode: encoded(Image.fromarray(photo()).convert(mode), "JPEG") for mode in ("L", "CMYK")
    }
    return found | modes | {"apart": apart(photo())}


@pytest.mark.parametrize("name", of_each_kind())
def test_a_jpeg_with_an_end_marker_within_its_pixels_is_broken(name):
    """Cut, and closed by a marker: decoders silently fill the missing part with grey."""
    whole = of_each_kind()[name]
    with Image.open(io.BytesIO(whole)) as image:
        np.testing.assert_array_equal(
            decode_picture(whole, max_pixels=20_000).pixels, np.asarray(image.convert("RGB"))
        )
    last = whole.rindex(b"\xff\xda")
    for share in (0.05, 0.3, 0.5, 0.9, 0.97):
        cut = whole[: last + int(share * (len(whole) - last))].rstrip(b"\xff") + b"\xff\xd9"
        Image.open(io.BytesIO(cut)).load()
        for look in (inspect_picture, decode_picture):
            with pytest.raises(
                BrokenPictureError, match="cut short: a part of the picture is missing"
            ):
                look(cut, max_pixels=20_000)


@pytest.mark.parametrize("whole", [jpeg({"progressive": True}), apart(photo(53, 37))])
def test_a_scan_cut_off_by_the_next_one_is_broken(whole):
    begin = whole.index(b"\xff\xda") + 14
    end = begin + re.search(rb"\xff[\x01-\xcf\xd8-\xfe]", whole[begin:]).start()
    cut = whole[: (begin + end) // 2].rstrip(b"\xff") + whole[end:]
    Image.open(io.BytesIO(cut)).load()
    with pytest.raises(BrokenPictureError, match="cut short"):
        decode(cut)


def test_a_colour_without_a_scan_is_broken():
    whole = apart(photo(53, 37))
    assert decode(whole).shape == (37, 53, 3)
    cut = whole[: whole.rindex(b"\xff\xda")] + b"\xff\xd9"
    with pytest.raises(BrokenPictureError, match="cut short"):
        decode(cut)


def test_filling_before_a_marker_cuts_nothing():
    for whole in of_each_kind().values():
        begin = whole.rindex(b"\xff\xda")
        filled = whole[:begin] + b"\xff\xff" + whole[begin:-2] + b"\xff\xff\xff" + whole[-2:]
        np.testing.assert_array_equal(
            decode_picture(filled, max_pixels=20_000).pixels,
            decode_picture(whole, max_pixels=20_000).pixels,
        )


def test_scans_within_the_picture_count():
    whole = encoded(Image.new("L", (64, 64)), "JPEG", progressive=True)
    scan = whole[whole.rfind(b"\xff\xda") : -2]
    for end in (b"\xff\xd9", b""):
        with pytest.raises(UnsuitablePictureError, match=f"{MAX_SCANS} scans"):
            decode(whole[:-2] + scan * MAX_SCANS + end)


def test_exif_within_the_picture_counts():
    segment = b"\xff\xe1" + struct.pack(">H", 8) + b"Exif\x00\x00"
    whole = jpeg({})
    assert decode(whole + segment * 100).shape == (37, 53, 3)
    with pytest.raises(UnsuitablePictureError, match="segments of EXIF"):
        decode(whole[:2] + segment * (MAX_EXIF + 1) + whole[2:])


def test_exif_markers_in_pixels_and_comments_do_not_count():
    whole = jpeg({})
    comment = b"\xff\xfe" + struct.pack(">H", 2 + 6 * 20) + b"Exif\x00\x00" * 20
    np.testing.assert_array_equal(decode(whole[:2] + comment + whole[2:]), decode(whole))


@pytest.mark.parametrize("frame", [0xC3, 0xC5, 0xC7, 0xCB, 0xCF])
def test_lossless_and_hierarchical_ones_are_refused_as_such(frame):
    content = jpeg({}).replace(b"\xff\xc0", bytes([0xFF, frame]), 1)
    with pytest.raises(NotAPictureError, match="a lossless or hierarchical JPEG is not supported"):
        decode(content)


@pytest.mark.filterwarnings("ignore")  # Pillow's warnings about odd data
@kinds
@settings(deadline=None, max_examples=60)  # other processes share the machine
@given(
    st.integers(0, 10_000), st.binary(max_size=6), st.integers(0, 3), st.integers(0, 2), st.data()
)
def test_damage_gives_a_picture_or_a_picture_error(kind, at, put, gone, cut, data):
    whole = jpeg(kind)
    at %= len(whole)
    content = whole[:at] + put + whole[at + gone :]
    content = content[: len(content) - cut]
    try:
        assert decode(content).dtype == np.uint8
    except PictureError as error:
        assert str(error)  # noqa: PT017
