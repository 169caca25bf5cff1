"""The compose set on a real Docker engine, from build to removal: `make compose-test`.

All that it creates there has a name of its own, and is removed at the end, even after an error;
only the base images and the build cache stay.
"""

import io
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from service.evidence.keys import PublicKeys
from tests.docker.compose_set import (
    CommandFailedError,
    ComposeSet,
    ComposeUnavailableError,
    find_compose,
)
from tests.docker.manifests import ROOT
from tests.docker.recording_client import URL, RecordingClient
from tests.e2e.deployed import free_port
from worker.verification import verify_bundle

COFFEE = (ROOT / "service/samples/coffee.jpg").read_bytes()
JOBS = 40
THREE = ("--scale", "worker=3")


def main() -> int:
    try:
        words = find_compose()
    except ComposeUnavailableError as error:
        print(f"compose-test cannot run: {error}", file=sys.stderr)
        return 1
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)
    name = f"shapshot-test-{secrets.token_hex(4)}"
    try:
        with (
            tempfile.TemporaryDirectory(prefix="shapshot-") as folder,
            removed(ComposeSet(words, Path(folder), f"{name}-neighbour", free_port())) as neighbour,
            removed(ComposeSet(words, Path(folder), name, free_port())) as tested,
        ):
            try:
                rehearse(tested, neighbour, Path(folder))
            except Exception:
                with suppress(CommandFailedError, subprocess.TimeoutExpired):
                    print(f"\n{tested.logs('--tail', '30')}", file=sys.stderr)
                raise
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    print("all of it was removed")
    return 0


@contextmanager
def removed(made: ComposeSet) -> Iterator[ComposeSet]:
    """Remove the set and its volumes when the block ends, even by an error."""
    try:
        yield made
    finally:
        heard = {
            each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)
        }
        made.remove()
        left = made.left()
        for each, handler in heard.items():
            signal.signal(each, handler)
        assert not left, left


@contextmanager
def step(name: str) -> Iterator[None]:
    print(f"{name} …", end=" ", flush=True)
    began = time.monotonic()
    yield
    print(f"{time.monotonic() - began:.0f} s", flush=True)


def rehearse(tested: ComposeSet, neighbour: ComposeSet, folder: Path) -> None:
    """Do with a set what docs/docker.md describes, and check its explanations after each step."""
    with step("start a Redis of another project"):
        neighbour.up("redis")
        [before] = neighbour.containers("redis")

    with step("build the images"):
        tested.compose("--profile", "keys", "build", timeout_s=None)

    with step("add a key, start all"):
        key = tested.compose("run", "--rm", "-T", "keys", "add", "clinic").strip()
        tested.up()

    with step("look into the images"):
        look_into(tested)

    with httpx.Client(base_url=tested.url, timeout=120) as http:
        client = RecordingClient(http)

        with step("explain a picture with the key"):
            assert http.post(URL, files={"image": COFFEE}).status_code == 401
            http.headers["Authorization"] = f"Bearer {key}"
            explain(client)

        with step(f"scale to three workers, kill one amid {JOBS} jobs"):
            tested.up("--no-recreate", *THREE)
            assert client.workers() == 3
            ids = [client.submit(seed) for seed in range(JOBS)]
            client.wait_until_running(3)
            tested.docker("kill", tested.containers("worker")[0]["Id"])
            attempts = [client.wait(each).document["attempts"] for each in ids]
            assert sorted(attempts)[:-1] == [1] * (JOBS - 1)
            assert max(attempts) <= 2  # 1: the worker was killed between two jobs
            print(f"{max(attempts) - 1} begun again,", end=" ")
            client.find_all(COFFEE)
            tested.up(*THREE)

        with step("restart Redis amid jobs"):
            ids = [client.submit(seed) for seed in range(100, 106)]
            client.wait_until_running(3)
            tested.compose("restart", "redis")
            for each in ids:
                client.wait(each)
            client.find_all(COFFEE)

        with step("kill Redis amid jobs"):
            ids = [client.submit(seed) for seed in range(200, 206)]
            client.wait_until_running(3)
            tested.in_container("redis", "kill -9 $(pidof redis-server)")
            for each in ids:
                client.wait(each)
            client.find_all(COFFEE)

        with step("stop and start"):
            tested.compose("stop")
            ended = [each["ExitCode"] for each in tested.states()]
            assert set(ended) <= {0, 143}, ended  # 143: by SIGTERM, not by SIGKILL
            tested.compose("start")
            client.find_all(COFFEE)

        with step("start Redis last, as an engine that starts anew may"):
            tested.compose("stop")
            for service in ("worker", "api"):
                tested.docker("start", *(each["Id"] for each in tested.containers(service)))
            time.sleep(10)
            tested.docker("start", tested.containers("redis")[0]["Id"])
            client.find_all(COFFEE)

        with step("change the passwords of Redis"):
            tested.change_passwords()
            tested.up()
            client.find_all(COFFEE)

        with step("take it down and bring it up"):
            tested.compose("down")
            tested.up()
            client.find_all(COFFEE)

        with step("back up, lose the volumes, restore"):
            tested.compose("stop")
            for volume in ("redis", "store", "keys"):
                in_volume(tested, volume, folder, f"tar -C /volume -cf /backup/{volume}.tar .")
            tested.compose("down", "--volumes")
            tested.compose("create", "--no-build")
            for volume in ("redis", "store", "keys"):
                in_volume(tested, volume, folder, f"tar -C /volume -xf /backup/{volume}.tar")
            tested.up()
            client.find_all(COFFEE)

        print(f"{len(client.found)} explanations, each found again as it was")

        with step("make a signing key, verify what it signed"):
            tested.compose("run", "--rm", "-T", "signing-key", "create")
            tested.change(SHAPSHOT_SIGNING_KEY_FILE="/var/lib/shapshot/keys/signing-key.pem")
            tested.up()
            verify(client)

    [after] = neighbour.containers("redis")
    assert (after["Id"], after["State"]["StartedAt"]) == (
        before["Id"],
        before["State"]["StartedAt"],
    )
    print("the other project was left alone")


def look_into(tested: ComposeSet) -> None:
    """Check that each image has its own code alone, no rights, no compiler, and is read-only."""
    for service, strangers in (
        ("api", "worker tensorflow keras cv2 pip"),
        ("worker", "service.api service.client fastapi uvicorn matplotlib pip"),
    ):
        [container] = tested.containers(service)
        assert container["HostConfig"]["ReadonlyRootfs"]
        assert container["State"]["Health"]["Status"] == "healthy"
        script = f"""
            id -u
            grep 'Cap\\(Prm\\|Eff\\|Bnd\\)\\|NoNewPrivs' /proc/1/status
            command -v cc gcc pip pip3 || true
            touch /app/x /opt/venv/x 2>/dev/null && echo it writes
            for each in {strangers}; do python -c "import $each" 2>/dev/null && echo $each; done
            true
        """
        said = tested.in_container(service, script).splitlines()
        no_rights = [f"Cap{kind}:\t{0:016x}" for kind in ("Prm", "Eff", "Bnd")]
        assert said == ["10001", *no_rights, "NoNewPrivs:\t1"], said


def explain(client: RecordingClient) -> None:
    """Explain the sample, a coffee: the attributions add up to the score; the heatmap is drawn."""
    found = client.wait(client.post(COFFEE).json()["id"])
    [*outputs] = found.document["outputs"]
    assert outputs[0]["label"] == "espresso"
    path = f"{URL}/{found.document['id']}"
    with np.load(io.BytesIO(client.get(f"{path}/attributions?format=npz").content)) as arrays:
        sums = arrays["values"].sum(axis=(0, 1, 2), dtype=float) + arrays["base_values"]
    np.testing.assert_allclose(sums, [each["score"] for each in outputs], atol=1e-4)
    with Image.open(io.BytesIO(client.get(f"{path}/heatmap.png").content)) as heatmap:
        assert min(heatmap.size) > 100
        assert len(heatmap.convert("L").getcolors()) > 50


def verify(client: RecordingClient) -> None:
    """Explain a picture, and verify its bundle by the keys that the server publishes."""
    found = client.wait(client.post(COFFEE).json()["id"])
    bundle = client.get(f"{URL}/{found.document['id']}/bundle.zip").content
    keys = PublicKeys.model_validate_json(client.get("/.well-known/jwks.json").content)
    verified = verify_bundle(bundle, keys)
    assert verified.valid, verified.checks


def in_volume(tested: ComposeSet, volume: str, folder: Path, command: str) -> None:
    """Run a command as root in a container with a volume of the set and one of our folders."""
    mounts = (f"{tested.project}_{volume}:/volume", f"{folder}:/backup")
    words = [word for mount in mounts for word in ("--volume", mount)]
    tested.docker("run", "--rm", *words, "debian:bookworm-slim", "sh", "-c", command)


if __name__ == "__main__":
    sys.exit(main())
