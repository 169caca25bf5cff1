"""Pictures as other protocols send them: files in base64, and pixels as lists of numbers."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from service.api.facades.instances import read_instances
from service.api.http.problems import ApiError
from service.schemas.documents import ErrorCode

RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 256, (4, 6, 3))


def body(*instances, **more):
    return json.dumps({"instances": list(instances), **more}).encode()


def pixels_of(instance):
    return np.array(Image.open(io.BytesIO(instance.content)))


def test_a_file_is_found_in_every_wrapping():
    text = base64.b64encode(b"\xff\xd8 a file").decode()
    wrapped = [
        (text, "image"),
        (f"data:image/jpeg;base64,{text}", "image"),
        ({"b64": text}, "image"),
        ({"image_bytes": {"b64": text}}, "image_bytes"),
        ({"content": text, "mimeType": "image/jpeg"}, "content"),
        ({"data": {"image": {"b64": text}}}, "data"),
    ]
    found = read_instances(body(*(each for each, _ in wrapped), parameters={"seed": 1}))
    assert found.document == {"parameters": {"seed": 1}}
    assert [each.input_name for each in found.pictures] == [name for _, name in wrapped]
    assert {each.content for each in found.pictures} == {b"\xff\xd8 a file"}


@pytest.mark.parametrize(
    "pixels",
    [COLOUR, COLOUR[..., :1], COLOUR[..., 0], RANDOM.integers(0, 256, (5, 3, 4)), COLOUR * 0],
)
@pytest.mark.parametrize("wrap", [False, True])
def test_whole_numbers_are_levels(pixels, wrap):
    given = {"image": pixels.tolist()} if wrap else pixels.tolist()
    [picture] = read_instances(body(given)).pictures
    np.testing.assert_array_equal(pixels_of(picture), pixels.squeeze())


def test_fractions_are_shares_of_255():
    [picture] = read_instances(body((COLOUR / 255).tolist())).pictures
    np.testing.assert_array_equal(pixels_of(picture), COLOUR)


def test_whole_numbers_with_a_point_are_levels():
    [picture] = read_instances(body(COLOUR.astype(float).tolist())).pictures
    np.testing.assert_array_equal(pixels_of(picture), COLOUR)


def test_inputs_is_another_name():
    [picture] = read_instances(json.dumps({"inputs": [COLOUR.tolist()]}).encode()).pictures
    np.testing.assert_array_equal(pixels_of(picture), COLOUR)


@pytest.mark.parametrize(
    ("instance", "said"),
    [
        (COLOUR.transpose(2, 0, 1).tolist(), "channels last"),
        ((COLOUR / 127.5 - 1).tolist(), "before the model's preprocessing"),
        ((COLOUR + 1.5).tolist(), "fractions must lie in 0..1"),
        ((COLOUR * 2).tolist(), "whole numbers must lie in 0..255"),
        ((COLOUR > 127).astype(int).tolist(), "only the values 0 and 1"),
        ([[1, 2], [3]], "rows of one shape"),
        ([[[1, 2, 3], [1, 2]]], "not of numbers"),
        ([["a"]], "not of numbers"),
        ([[True, False]], "not of numbers"),
        ([[None]], "not of numbers"),
        ([[10**30]], "not of numbers"),
        ([[[[1]]]], "not of numbers"),
        ([1, 2], "not of numbers"),
        ([], "rows of one shape"),
        ([[]], "channels last"),
        (7, "not a picture"),
        (None, "not a picture"),
        ({}, "one field"),
        ({"a": "x", "b": "y"}, "one field"),
        ({"a": {"b": {"c": {"d": "x"}}}}, "not a picture"),
        ("no base64!", "not a base64 character"),
    ],
)
def test_what_is_no_picture_is_named_by_its_position(instance, said):
    good = COLOUR.tolist()
    with pytest.raises(ApiError) as raised:
        read_instances(body(good, instance))
    assert raised.value.code is ErrorCode.BAD_REQUEST
    assert raised.value.field == "instances.1"
    assert said in raised.value.detail


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "expected '{', found the end"),
        (b"[]", "expected '{', found '['"),
        (b"{}", "must be there once"),
        (b'{"instances": []}', "1 to 32 pictures"),
        (b'{"instances": {}}', "expected '[', found '{'"),
        (b'{"instances": [[[7]]]', "expected '}', found the end"),
        (b'{"instances": [[[7]]]} {}', "expected the end"),
        (b'{"instances": [[[7],]]}', "not valid JSON"),
        (b'{"instances": [[[7]],]}', "not valid JSON"),
        (b'{"instances": [[[7]]], }', "expected a field name"),
        (b'{"instances": [[[7]]], "instances": [[[7]]]}', "must be there once"),
        (b'{"instances": [[[7]]], "inputs": [[[7]]]}', "must be there once"),
        (b'{"instances": [[[7]]], "a": 1, "a": 2}', "duplicate"),
        (b'{"instances": [{"b64": "", "b64": ""}]}', "duplicate"),
        (b'{"instances": [[[7]]], "a": NaN}', "NaN"),
        (b'{"instances": [[[NaN]]]}', "from nan to nan"),
        (b'{"instances": [[[1e999]]]}', "inf"),
        (b'{"instances": ' + b"[" * 100_000, "not valid JSON"),
        (b'{"instances": [[[7]]], "a": ' + b'{"a":' * 100_000, "not valid JSON"),
        ('{"instances": ["ä"]}'.encode("latin-1"), "not UTF-8"),
    ],
)
def test_what_is_no_request_is_refused(content, said):
    with pytest.raises(ApiError) as raised:
        read_instances(content)
    assert raised.value.code is ErrorCode.BAD_REQUEST
    assert said in raised.value.detail


def test_more_pictures_than_a_batch_takes_are_refused_before_the_rest_is_read():
    with pytest.raises(ApiError, match="1 to 32") as raised:
        read_instances(b'{"instances": [' + b"[[7]]," * 100 + b"no JSON")
    assert raised.value.field == "instances"
