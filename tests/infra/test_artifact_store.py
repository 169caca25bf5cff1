"""The artifact store, in a folder and in memory."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from service.infra.artifact_store import MissingArtifactError, StoreError, image_key, open_store


@pytest.fixture(params=["folder", "memory"])
def any_store(request, store_url):
    return open_store(store_url if request.param == "folder" else "memory:")


def test_stored_content_is_read_back_unchanged(any_store):
    any_store.put(image_key("exp_1"), b"\x00picture" * 1000)
    assert any_store.get(image_key("exp_1")) == b"\x00picture" * 1000


def test_an_absent_artifact_is_missing(any_store):
    with pytest.raises(MissingArtifactError, match="exp_1"):
        any_store.get(image_key("exp_1"))


def test_deleting_removes_one_explanation_and_no_other(any_store):
    any_store.put("explanations/exp_1/image", b"1")
    any_store.put("explanations/exp_1/attempt/attributions.npz", b"1")
    any_store.put("explanations/exp_10/image", b"10")
    any_store.delete_explanation("exp_1")
    any_store.delete_explanation("exp_1")
    with pytest.raises(MissingArtifactError):
        any_store.get("explanations/exp_1/image")
    assert any_store.get("explanations/exp_10/image") == b"10"


def test_a_deleted_explanation_leaves_no_folder(store_url, tmp_path):
    store = open_store(store_url)
    store.put(image_key("exp_1"), b"1")
    store.delete_explanation("exp_1")
    assert not (tmp_path / "store" / "explanations" / "exp_1").exists()


def test_a_store_without_its_folder_names_the_cause_without_its_path(store_url, tmp_path):
    store = open_store(store_url)
    (tmp_path / "store").rmdir()
    (tmp_path / "store").write_text("a file in its place")
    with pytest.raises(StoreError, match="Not a directory") as refused:
        store.check()
    assert str(tmp_path) not in str(refused.value)


def test_concurrent_checks_succeed(any_store):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: any_store.check(), range(64)))


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot create the store folder"):
        open_store(f"file:{tmp_path}/file/store")


def test_another_scheme_is_refused_with_the_accepted_ones():
    with pytest.raises(ValueError, match="memory:"):
        open_store("ftp://somewhere")
