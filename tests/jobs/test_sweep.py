"""Artifacts of expired or deleted explanations are removed from the store, page by page."""

import pytest
from structlog.testing import capture_logs

from service.infra.artifact_store import MissingArtifactError, image_key
from service.jobs import sweep
from service.jobs.sweep import sweep_due


@pytest.fixture
def deleted(ledger, accepted, store):
    """Accepts explanations with an image and deletes them; returns their ids."""

    def make(count):
        ids = [accepted() for _ in range(count)]
        for id_ in ids:
            store.put(image_key(id_), b"an image")
            ledger.delete(id_)
        return ids

    return make


def test_a_full_page_may_have_another_after_it(deleted, ledger, store, monkeypatch):
    monkeypatch.setattr(sweep, "PAGE", 2)
    ids = deleted(3)
    assert sweep_due(ledger, store, tombstone_s=60)
    assert len(ledger.expired()) == 1
    assert not sweep_due(ledger, store, tombstone_s=60)
    assert ledger.expired() == []
    for id_ in ids:
        with pytest.raises(MissingArtifactError):
            store.get(image_key(id_))


def test_artifacts_that_could_not_be_removed_stay_due(
    deleted, ledger, store, tmp_path, monkeypatch
):
    monkeypatch.setattr(sweep, "PAGE", 1)
    [id_] = deleted(1)
    folder = tmp_path / "store"
    folder.rename(tmp_path / "away")
    folder.write_text("no folder")
    with capture_logs() as lines:
        assert not sweep_due(ledger, store, tombstone_s=60)
    assert [(line["log_level"], line["id"]) for line in lines] == [("warning", id_)]
    assert ledger.expired() == [id_]
    folder.unlink()
    (tmp_path / "away").rename(folder)
    assert sweep_due(ledger, store, tombstone_s=60)
    assert ledger.expired() == []
