"""Drawings of large photos take turns at memory, and free it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256

import httpx
import numpy as np
import pytest

from service.infra.artifact_store import Store, image_key
from service.jobs.records import JobSpec
from tests.encoded import encoded
from tests.hostile.conftest import Api, explain
from tests.ledger import Ledger

SIDE = 4000
PIXELS_MB = SIDE * SIDE / 1e6
AT_ONCE = 8


@pytest.fixture
def large_photo(ledger: Ledger, store: Store, spec: JobSpec) -> str:
    """The path of an explanation of a photo with as many pixels as can be drawn."""
    photo = encoded(np.full((SIDE, SIDE, 3), 200, np.uint8), "JPEG")
    facts = {"sha256": sha256(photo).hexdigest(), "bytes": len(photo)}
    image = spec.image.model_copy(update=facts | {"width": SIDE, "height": SIDE})
    spec = spec.model_copy(update={"image": image})
    id_ = explain(ledger, store, spec, (8, 12, 3, 2))
    store.put(image_key(id_), photo)
    return f"/v1/explanations/{id_}/heatmap.png?style=overlay"


def test_drawings_over_a_large_photo_take_turns_and_give_their_memory_back(
    serve: Callable[..., Api], large_photo: str
):
    api = serve()
    before_mb = api.resident_mb
    with ThreadPoolExecutor(AT_ONCE) as clients:
        answers = list(
            clients.map(partial(httpx.get, timeout=120), [api.url + large_photo] * AT_ONCE)
        )
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert any(answer.status_code == 200 for answer in answers)
    print(
        "MB",
        before_mb,
        api.peak_mb,
        api.resident_mb,
        answers[0].elapsed,
        [a.status_code for a in answers],
    )
    assert api.peak_mb - before_mb < 60 * PIXELS_MB
    assert api.resident_mb - before_mb < 30 * PIXELS_MB
