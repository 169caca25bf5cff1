"""A second run that is really computed, by the same model and by others."""

import numpy as np
import pytest

from service.evidence.archives import read_archive
from service.jobs.worker_registry import announce
from service.schemas.fingerprint import fingerprint_of
from service.schemas.record import Statement
from tests.evidence.conftest import URL
from tests.evidence.test_bundles import statement_in
from worker.models.loading import LoadedModel

METHODS = {
    "kernel": {},
    "gaussian_process": {},
    "permutation": {},
    "partition": {"superpixels": {"kind": "pixels"}},
    "exact": {"superpixels": {"kind": "grid", "rows": 2, "columns": 4}, "max_evals": 256},
}


class Changed:
    """A model that multiplies the pictures, or the scores, of another."""

    def __init__(self, model, of_pictures, of_scores):
        self._model, self._of_pictures, self._of_scores = model, of_pictures, of_scores

    def __getattr__(self, name):
        return getattr(self._model, name)

    def __call__(self, pictures):
        return self._model(pictures * np.float32(self._of_pictures)) * np.float32(self._of_scores)


def serve(signed, connection, *, of_pictures=1, of_scores=1, **parts):
    """Replace the model; parts: those in which it says that it differs."""
    loaded = signed.registry.get("dozer")
    changed = loaded.card.parts.model_copy(update=parts)
    card = loaded.card.model_copy(update={"parts": changed, "fingerprint": fingerprint_of(changed)})
    model = Changed(loaded.predictor, of_pictures, of_scores)
    signed.registry._models["dozer"] = LoadedModel(card, model, loaded.labels)
    announce(connection, "worker", signed.registry.cards(), lease_s=600)


async def run_again(signed, id_):
    answer = await signed.api.post(f"{URL}/{id_}/reproduce")
    assert answer.status_code == 202, answer.text
    again = signed.compute(answer.json()["id"])
    record = read_archive((await signed.api.get(f"{URL}/{again}/bundle.zip")).content)
    assert statement_in(record, "record.json", Statement).predicate.reproduces == id_
    found = await signed.api.get(f"{URL}/{again}/reproduction")
    assert found.status_code == 200, found.text
    return found.json()


@pytest.mark.parametrize("method", METHODS)
async def test_the_same_model_gives_the_same(signed, method):
    found = await run_again(signed, await signed.explain(method=method, **METHODS[method]))
    assert found["verdict"] == "same"
    assert found["coalitions"]["before"] > 2
    assert found["scores"]["largest"] == found["values"]["largest"] == 0


@pytest.mark.parametrize(("factor", "verdict"), [(1 + 1e-5, "within_tolerance"), (1.01, "differs")])
async def test_scores_that_differ_are_told_beside_the_tolerance(
    signed, connection, factor, verdict
):
    id_ = await signed.explain()
    serve(signed, connection, of_scores=factor)
    found = await run_again(signed, id_)
    assert found["verdict"] == verdict
    assert found["model"] == []
    assert found["coalitions"]["first_difference"] is None
    assert found["scores"]["largest"] == pytest.approx(factor - 1, rel=0.05)
    assert found["scores"]["within"] is (verdict != "differs")
    assert 0 < found["values"]["largest"] < 2 * (factor - 1)


async def test_another_model_is_named_by_what_differs(signed, connection):
    id_ = await signed.explain()
    weights = "sha256:" + "12" * 32
    serve(signed, connection, weights=weights)
    found = await run_again(signed, id_)
    assert found["verdict"] == "other_model"
    before = "sha256:" + "ab" * 32
    assert found["model"] == [{"name": "weights", "before": before, "now": weights}]
    assert found["scores"]["largest"] == 0


async def test_a_comparison_is_run_again_with_both_models(signed, connection):
    id_ = await signed.explain(model="sleeper", compare_with="dozer")
    assert (await run_again(signed, id_))["verdict"] == "same"
    weights = "sha256:" + "12" * 32
    serve(signed, connection, weights=weights)
    found = await run_again(signed, id_)
    assert found["verdict"] == "other_model"
    before = "sha256:" + "ab" * 32
    assert found["model"] == [{"name": "compared.weights", "before": before, "now": weights}]
    assert found["outputs_before"] == [1, 4, 7, 0, 3, 6, 2, 5, 8]


async def test_coalitions_that_differ_are_told_from_the_first_on(signed, connection):
    """Partition splits first where scores change most, which is elsewhere for another model."""
    id_ = await signed.explain(method="partition", superpixels={"kind": "pixels"})
    serve(signed, connection, of_pictures=np.linspace(0, 1, 24)[:, np.newaxis])
    found = await run_again(signed, id_)
    assert found["verdict"] == "differs"
    assert found["coalitions"]["first_difference"] is not None
