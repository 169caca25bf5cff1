"""Previews of a job: made while a client watches, and encoded as clients receive them."""

import base64

import numpy as np
import pytest

from service.schemas.previews import Preview
from service.schemas.results import Rectangle
from worker.adapters.previews import encode_preview
from worker.engine import preview as engine
from worker.interruptions import JobControl
from worker.preview_throttle import PreviewThrottle

LABELS = ["ant", "bee", "crane"]
CROP = Rectangle(left=1, top=2, right=30, bottom=40)
MOST_BYTES = 64 * 1024  # as docs/redis.md says


def preview_of(heat):
    return engine.Preview(heat, 4, np.arange(2, 2 - len(heat), -1), evaluations=120, planned=500)


def decoded(text):
    preview = Preview.model_validate_json(text)
    shares = np.frombuffer(base64.b64decode(preview.heat), "<f2").astype(float)
    shape = len(preview.outputs), preview.rows, preview.columns
    scales = np.array([output.scale for output in preview.outputs])
    return preview, shares.reshape(shape) * scales[:, np.newaxis, np.newaxis]


@pytest.mark.parametrize("size", [1e-12, 1e-3, 1e6])  # float16 holds 6e-8 to 65504
def test_heat_of_any_size_keeps_three_digits(size):
    heat = size * np.random.default_rng(0).normal(size=(2, 5, 7))
    preview, found = decoded(encode_preview(preview_of(heat), LABELS, CROP))
    assert np.abs(found - heat).max() <= 1e-3 * np.abs(heat).max()
    assert [(output.index, output.label) for output in preview.outputs] == [
        (2, "crane"),
        (1, "bee"),
    ]
    assert (preview.rows, preview.columns, preview.cell, preview.crop) == (5, 7, 4, CROP)
    assert (preview.evaluations, preview.planned) == (120, 500)


def test_an_output_without_any_credit_is_zero():
    _, found = decoded(encode_preview(preview_of(np.zeros((1, 3, 3))), LABELS, CROP))
    assert not found.any()


def test_the_largest_preview_is_small():
    cells = engine.MOST_CELLS
    heat = np.random.default_rng(0).normal(size=(engine.MOST_OUTPUTS, cells, cells))
    labels = ["a name of some length, as models have" for _ in range(3)]
    largest = engine.Preview(heat, 4, np.array([0, 1, 2, 0]), 10**6, 10**6)
    assert len(encode_preview(largest, labels, CROP)) < MOST_BYTES


def test_a_preview_is_made_only_while_a_client_watches_and_taken_once():
    now = [0.0]
    control = JobControl(deadline_s=60, throttle=PreviewThrottle(lambda: now[0]))
    control.encode_preview = lambda preview: f"after {preview.evaluations}"
    made = []

    def make():
        made.append(preview_of(np.ones((1, 2, 2))))
        return made[-1]

    now[0] = 100
    control.offer(make)
    assert (made, control.take_preview()) == ([], None)
    control.watched = True
    control.offer(make)
    control.offer(make)  # too soon after the first
    assert len(made) == 1
    taken = control.take_preview()
    assert taken
    assert (taken.text, taken.evaluations) == ("after 120", 120)
    assert control.take_preview() is None
    now[0] += 1
    control.offer(lambda: None)  # the method has nothing to show yet
    assert control.take_preview() is None
