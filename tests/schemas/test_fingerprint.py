"""Fingerprints: equal models have the same one, different models do not, and they can be pinned."""

import hashlib

import pytest
from pydantic import ValidationError

from service.schemas.fingerprint import ModelParts, fingerprint_of, labels_digest
from service.schemas.requests import ExplanationSettings, PinnedModel
from tests.tiny import PARTS

OTHERS = {
    "architecture": "sha256:" + "00" * 32,
    "weights": "sha256:" + "00" * 32,
    "labels": "sha256:" + "00" * 32,
    "preprocessing": "unit: (x - 0) / 255",
    "fit": "stretch",
    "input_shape": (12, 8, 3),
    "backend": "openvino",
    "dtype": "bfloat16",
}


def test_each_part_alone_changes_the_fingerprint():
    assert set(OTHERS) == set(ModelParts.model_fields)
    changed = [PARTS.model_copy(update={name: other}) for name, other in OTHERS.items()]
    assert len({fingerprint_of(parts) for parts in [PARTS, *changed]}) == 1 + len(OTHERS)


def test_a_fingerprint_is_the_sha256_of_the_parts_as_json_with_sorted_keys():
    text = (
        f'{{"architecture":"{PARTS.architecture}","backend":"none","dtype":"float32","fit":"crop",'
        f'"input_shape":[8,12,3],"labels":"{PARTS.labels}","preprocessing":"none",'
        f'"weights":"{PARTS.weights}"}}'
    )
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert fingerprint_of(PARTS) == f"sha256:{expected}"
    again = ModelParts.model_validate_json(PARTS.model_dump_json())
    assert fingerprint_of(again) == fingerprint_of(PARTS)


@pytest.mark.parametrize("other", [["b", "a"], ["a,b"], ["a", "b", ""], ['a","b'], ["ä", "b"]])
def test_labels_differ_by_order_number_and_every_letter(other):
    assert labels_digest(other) != labels_digest(["a", "b"])


@pytest.mark.parametrize("fingerprint", ["", "ab" * 32, "sha256:" + "AB" * 32, "sha256:ab"])
def test_a_pin_that_is_not_a_fingerprint_is_refused(fingerprint):
    with pytest.raises(ValidationError):
        ExplanationSettings.model_validate({"model": {"name": "a", "fingerprint": fingerprint}})


def test_a_pin_survives_serialization_of_the_settings():
    pin = PinnedModel(name="a", fingerprint=fingerprint_of(PARTS))
    text = ExplanationSettings(model=pin).model_dump_json(exclude_defaults=True)
    assert ExplanationSettings.model_validate_json(text).model == pin
