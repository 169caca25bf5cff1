"""Label maps become regions 0..n-1, or are refused for a stated reason."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.images.label_maps import (
    LabelMapError,
    LabelMapTooLargeError,
    decode_label_map,
)
from service.schemas.requests import MAX_SUPERPIXELS
from tests.encoded import encoded, npy
from tests.images.test_png import BESIDE, with_chunks

LABELS = np.array([[5, 5, 200], [7, 7, 7]])
COUNTED = [[0, 0, 2], [1, 1, 1]]


def palette(labels: np.ndarray) -> Image.Image:
    """Return a palette with one colour at two indices: the indices are the labels."""
    image = Image.fromarray(labels.astype(np.uint8), "P")
    image.putpalette([255, 0, 0] * 256)
    return image


def decode(content: bytes) -> np.ndarray:
    return decode_label_map(content, max_pixels=5000)


@pytest.mark.parametrize(
    "content",
    [
        encoded(LABELS.astype(np.uint8)),
        encoded(LABELS.astype(np.uint16) * 300),
        encoded(palette(LABELS)),
        npy(LABELS),
        npy(LABELS - 1000),
        npy(LABELS.astype(">u2")),
        npy(np.asfortranarray(LABELS)),
    ],
    ids=["8-bit", "16-bit", "palette", "npy", "negative", "big-endian", "by columns"],
)
def test_equal_numbers_are_one_region_numbered_in_ascending_order(content):
    regions = decode(content)
    assert regions.tolist() == COUNTED
    assert regions.dtype == np.int32


def test_black_and_white_are_two_regions():
    assert decode(encoded(np.array([[True, False]]))).tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "PNG of 8- or 16-bit grey or with a palette or a .npy"),
        (b"hello", "PNG of 8- or 16-bit grey or with a palette or a .npy"),
        (encoded(np.zeros((2, 2, 3), np.uint8)), "mode RGB"),
        (encoded(np.zeros((2, 2, 4), np.uint8)), "mode RGBA"),
        (encoded(np.zeros((50, 50), np.uint8))[:-20], "broken PNG"),
        (npy(LABELS * 0.5), "float64"),
        (npy(np.array([[{}]])), "object"),
        (npy(np.zeros(4, int)), r"\(H, W\); received \(4,\)"),
        (npy(np.zeros((2, 2, 1), int)), r"\(H, W\); received \(2, 2, 1\)"),
        (npy(np.zeros((0, 3), int)), r"\(H, W\); received \(0, 3\)"),
        (npy(np.zeros((1, 6), int)).replace(b"(1, 6), }   ", b"(True, 6), }"), "rows and columns"),
        (npy(LABELS)[:-1], "its length does not match"),
        (npy(LABELS) + b"\x00", "its length does not match"),
        (npy(LABELS)[:40], "broken .npy"),
        (b"\x93NUMPY\x09\x00", "broken .npy"),
        (npy(LABELS).replace(b", 'shape'", b",b'shape'"), "broken .npy"),
    ],
)
def test_other_files_are_refused_with_the_accepted_formats(content, said):
    with pytest.raises(LabelMapError, match=said) as refused:
        decode(content)
    assert not isinstance(refused.value, LabelMapTooLargeError)


def test_an_npy_is_never_unpickled(tmp_path):
    mark = tmp_path / "mark"

    class Bomb:
        def __reduce__(self):
            return mark.touch, ()

    with pytest.raises(LabelMapError):
        decode(npy(np.array([[Bomb()]], dtype=object)))
    assert not mark.exists()


@pytest.mark.parametrize("encode", [encoded, npy])
def test_too_many_pixels_are_refused(encode):
    assert decode(encode(np.zeros((50, 100), np.uint8))).shape == (50, 100)
    with pytest.raises(LabelMapTooLargeError, match="5000 pixels"):
        decode(encode(np.zeros((51, 100), np.uint8)))


def test_an_npy_with_a_false_huge_shape_takes_no_memory():
    huge = npy(LABELS).replace(b"(2, 3)", b"(9999999999, 9999999999)")
    with pytest.raises(LabelMapTooLargeError):
        decode(huge)


@given(
    labels=st.lists(st.sampled_from([0, 1, 2, 7, 255, 256, 65_535]), min_size=1, max_size=40),
    wide=st.booleans(),
)
def test_regions_are_counted_by_table_as_by_sorting(labels, wide):
    expected = np.unique(labels, return_inverse=True)[1]
    beyond = 2**16 if wide else 0  # outside of the table
    assert decode(npy(np.array([labels]) + beyond))[0].tolist() == expected.tolist()


def test_too_many_regions_are_refused():
    many = np.arange(MAX_SUPERPIXELS + 1)[np.newaxis]
    assert decode(npy(many[:, 1:])).max() == MAX_SUPERPIXELS - 1
    with pytest.raises(LabelMapTooLargeError, match=str(MAX_SUPERPIXELS)):
        decode(npy(many))


@pytest.mark.filterwarnings("ignore")  # NumPy's and Pillow's warnings about odd data
@pytest.mark.parametrize("form", [encoded, npy])
@settings(deadline=None)  # other processes share the machine
@given(
    position=st.integers(0, 300), values=st.binary(min_size=1, max_size=8), cut=st.integers(0, 30)
)
def test_any_damage_gives_regions_or_a_label_map_error(form, position, values, cut):
    content = bytearray(form(LABELS.astype(np.uint16)))
    position %= len(content)
    content[position : position + len(values)] = values
    try:
        regions = decode(bytes(content[: len(content) - cut]))
    except LabelMapError:
        return
    assert regions.ndim == 2
    assert set(np.unique(regions)) == set(range(regions.max() + 1))


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
def test_metadata_of_a_png_does_not_count(beside):
    content = with_chunks(encoded(LABELS.astype(np.uint8)), *beside) + b"appended"
    assert decode(content).tolist() == COUNTED


def test_a_damaged_chunk_of_its_pixels_is_named():
    whole = encoded(LABELS.astype(np.uint8))
    at = whole.index(b"IDAT") + 8
    with pytest.raises(LabelMapError, match="the checksum of chunk IDAT is wrong"):
        decode(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
