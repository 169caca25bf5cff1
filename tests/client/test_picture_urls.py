"""Pictures that the clients name by URL, and the server fetches."""

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network

import pytest

from service.client import ShapshotError


@pytest.fixture
def settings(settings, request):
    allowed = {"outbound_allow": (ip_network("127.0.0.0/8"),), "picture_urls": True}
    return settings.model_copy(update=getattr(request, "param", allowed))


@pytest.fixture
def pictures(tmp_path, photo):
    """The URL of a folder with cat.png."""
    (tmp_path / "cat.png").write_bytes(photo)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_url_is_fetched_by_the_server(ask, pictures, photo):
    image = ask("submit", f"{pictures}/cat.png").image
    assert (image.name, image.sha256) == ("cat.png", hashlib.sha256(photo).hexdigest())


def test_a_batch_of_urls_names_the_one_that_is_refused(ask, pictures):
    urls = [f"{pictures}/cat.png", f"{pictures}/dog.png"]
    assert ask("submit_batch", [urls[0], urls[0]]).size == 2
    with pytest.raises(ShapshotError, match="answered 404") as refused:
        ask("submit_batch", urls)
    assert refused.value.problem.code == "invalid_image_url"
    assert refused.value.__notes__ == [f"the picture at position 1, {urls[1]}"]


def test_urls_and_files_are_sent_in_batches_of_their_own(ask, pictures, photo):
    url = f"{pictures}/cat.png"
    group = ask("submit_all", [url, url, photo, url])
    assert [batch.size for batch in group.batches] == [2, 1, 1]
    names = [each.name for each in group.explanations]
    assert names == ["cat.png", "cat.png", "picture", "cat.png"]


@pytest.mark.parametrize("settings", [{}], indirect=True)
def test_a_server_that_fetches_nothing_says_so(ask):
    with pytest.raises(ShapshotError, match="SHAPSHOT_PICTURE_URLS") as refused:
        ask("submit", "HTTPS://pictures.example/cat.png")
    assert refused.value.problem.code == "invalid_image_url"
