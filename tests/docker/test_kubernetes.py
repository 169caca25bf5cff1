"""The manifests agree with the Kubernetes API, each other, the images and the app."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import redis

from service.api.app import create_app
from service.api.services import ProcessServices
from service.embedded.redis_server import RedisNotFoundError, find_server
from service.infra.settings.api import ApiSettings
from service.infra.settings.worker import WorkerSettings
from service.jobs.redis_connections import connect
from tests.conftest import skip_or_raise
from tests.docker.dockerfiles import Instruction, inherited, values
from tests.docker.guarded import USERS, Guarded, guarded_by
from tests.docker.manifests import K8S, ROOT, Manifest, kustomized, named, pod_of, read, workloads
from worker.models.models_file import read_model_file

KUBERNETES = "1.34"  # the oldest minor release that is still supported
IMAGES = {
    "shapshot-service": ("service.Dockerfile", ""),
    "shapshot-worker": ("worker.Dockerfile", "cpu"),
    "shapshot-worker-gpu": ("worker.Dockerfile", "gpu"),
}
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SECRETS = read(K8S / "secrets.example.yaml")


@pytest.fixture(scope="session")
def of_the_docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kustomization of docs/kubernetes.md, beside a checkout."""
    folder = tmp_path_factory.mktemp("kustomization")
    (folder / "shapshot").symlink_to(ROOT)
    told = (ROOT / "docs" / "kubernetes.md").read_text()
    [kustomization] = re.findall(r"```yaml\n(.*?kind: Kustomization.*?)```", told, re.DOTALL)
    own = folder / "own"
    own.mkdir()
    (own / "kustomization.yaml").write_text(kustomization)
    return own


@pytest.fixture(params=["base", "gpu", "of the docs"])
def manifests(request: pytest.FixtureRequest, of_the_docs: Path) -> list[Manifest]:
    return kustomized(of_the_docs if request.param == "of the docs" else K8S / request.param)


@pytest.fixture
def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    return workloads(manifests)


def containers(pods: dict[str, Manifest]) -> list[Manifest]:
    found = [container for pod in pods.values() for container in pod["containers"]]
    assert len(found) == 3
    return found


def ours(pods: dict[str, Manifest]) -> list[tuple[Manifest, list[Instruction]]]:
    """Our containers, each with the Dockerfile instructions of its image."""
    found = []
    for container in containers(pods):
        name, tag = container["image"].rpartition("/")[2].split(":")
        if name in IMAGES:
            assert tag == VERSION
            found.append((container, inherited(*IMAGES[name])))
    assert len(found) == 2
    return found


def under(field: str, tree: Any) -> list[Any]:
    """Yield the values of a field at any depth."""
    if isinstance(tree, list):
        return [found for each in tree for found in under(field, each)]
    if not isinstance(tree, dict):
        return []
    here = [tree[field]] if field in tree else []
    return here + under(field, list(tree.values()))


def test_every_manifest_fits_the_schema_of_kubernetes(manifests: list[Manifest]) -> None:
    for manifest in (*manifests, *SECRETS):
        if manifest["kind"] != "ScaledObject":
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_the_validator_rejects_invalid_manifests(manifests: list[Manifest]) -> None:
    broken = next(each for each in manifests if each["kind"] == "Deployment")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            broken | {"spec": broken["spec"] | {"replica": 2}}, KUBERNETES, strict=True
        )


def test_the_scaler_fits_the_schema_of_keda_and_scales_an_existing_workload(
    of_the_docs: Path,
) -> None:
    manifests = kustomized(of_the_docs)
    [scaler] = [each for each in manifests if each["kind"] == "ScaledObject"]
    schema = json.loads((Path(__file__).parent / "keda_scaled_object.json").read_text())
    jsonschema.validate(scaler, schema)
    assert ("Deployment", scaler["spec"]["scaleTargetRef"]["name"]) in map(named, manifests)
    behavior = scaler["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "as KEDA makes it"},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "x"},
            "maxReplicas": scaler["spec"]["maxReplicaCount"],
            "behavior": behavior,
        },
    }
    kubernetes_validate.validate(autoscaler, KUBERNETES, strict=True)


@pytest.mark.parametrize("folder", ["base", "gpu", "keda"])
def test_every_file_of_a_folder_is_named_by_its_kustomization(folder: str) -> None:
    [kustomization] = read(K8S / folder / "kustomization.yaml")
    patches = [patch["path"] for patch in kustomization.get("patches", [])]
    present = {file.name for file in (K8S / folder).iterdir()} - {"kustomization.yaml"}
    assert present <= {*kustomization["resources"], *patches}


def test_no_container_may_gain_rights_or_write_to_its_image(pods: dict[str, Manifest]) -> None:
    for pod in pods.values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)


def test_our_pods_run_as_the_user_of_the_image_and_have_its_volumes(
    pods: dict[str, Manifest],
) -> None:
    for pod in (pods["shapshot-api"], pods["shapshot-worker"]):
        [(container, image)] = [pair for pair in ours(pods) if pair[0] is pod["containers"][0]]
        context = pod["securityContext"]
        assert f"{context['runAsUser']}:{context['runAsGroup']}" == values(image, "USER")[-1]
        mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
        written = set(re.findall(r"/var/lib/shapshot/\w+", " ".join(values(image, "RUN"))))
        assert written | {"/tmp"} <= mounted  # noqa: S108
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            volume["name"] for volume in pod["volumes"]
        }


def test_ports_and_probes_are_those_of_the_image_and_the_app(pods: dict[str, Manifest]) -> None:
    paths = set(create_app(ProcessServices.of(ApiSettings(store_url="memory:"))).openapi()["paths"])
    for container, image in ours(pods):
        ports = {port["name"]: str(port["containerPort"]) for port in container.get("ports", [])}
        assert list(ports.values()) == values(image, "EXPOSE")
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            asked = container[probe].get("httpGet")
            if asked:
                assert asked["path"] in paths
                assert asked["port"] in ports
            else:
                said = values(image, "HEALTHCHECK")[-1].partition("CMD ")[2]
                assert container[probe]["exec"]["command"][:2] == json.loads(said)


def test_services_policies_and_budgets_select_existing_pods(
    manifests: list[Manifest], pods: dict[str, Manifest]
) -> None:
    label = "app.kubernetes.io/name"
    for manifest in manifests:
        spec = manifest.get("spec", {})
        if manifest["kind"] == "Service":
            chosen = spec["selector"][label]
            [container] = pods[chosen]["containers"]
            for port in spec["ports"]:
                target = port.get("targetPort", port["port"])
                assert any(target in each.values() for each in container["ports"])
        elif manifest["kind"] == "PodDisruptionBudget":
            assert spec["selector"]["matchLabels"][label] in pods
        elif manifest["kind"] == "NetworkPolicy":
            assert spec["podSelector"]["matchLabels"][label] in pods
    assert set(re.findall(rf"{label}: (\S+)", (K8S / "base/network.yaml").read_text())) == set(pods)


def test_what_pods_refer_to_exists_or_is_an_example_secret(
    manifests: list[Manifest], pods: dict[str, Manifest]
) -> None:
    there = {named(each) for each in (*manifests, *SECRETS)}
    keys = {each["metadata"]["name"]: set(each["stringData"]) for each in SECRETS}
    references = under("secretKeyRef", pods)
    assert references
    assert all(each["key"] in keys[each["name"]] for each in references)
    config_maps = [*under("configMapRef", pods), *under("configMap", pods)]
    for kind, names in (
        ("Secret", under("secretName", pods)),
        ("ConfigMap", [each["name"] for each in config_maps]),
        ("PersistentVolumeClaim", under("claimName", pods)),
    ):
        assert names
        assert {(kind, name) for name in names} <= there


def test_the_example_of_secrets_has_no_real_ones() -> None:
    [of_redis, of_keys] = [each["stringData"] for each in SECRETS]
    for user in ("api", "worker"):
        password = f"{user.upper()}_PASSWORD"
        assert f"//{user}:{password}@" in of_redis[f"{user}-url"]
        assert f"user {user} on >{password} " in of_redis["users.acl"]
    assert of_keys == {"keys.jsonl": ""}


def test_each_worker_of_the_overlay_has_one_gpu_and_frees_it_before_the_next_starts() -> None:
    [worker] = [
        each for each in kustomized(K8S / "gpu") if named(each) == ("Deployment", "shapshot-worker")
    ]
    [container] = pod_of(worker)["containers"]
    assert container["image"] == f"shapshot-worker-gpu:{VERSION}"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert worker["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 0


def test_the_models_of_the_config_map_are_a_valid_models_file(tmp_path: Path) -> None:
    [models] = read(K8S / "base/models.yaml")
    text = models["data"]["models.toml"]
    (tmp_path / "models.toml").write_text(text)
    read_model_file(tmp_path / "models.toml")
    for model in tomllib.loads(text)["models"].values():
        if "file" in model:
            assert (K8S.parents[1] / model["file"].removeprefix("/app/")).exists()


def test_the_users_of_redis_may_do_what_those_of_compose_may() -> None:
    lines = SECRETS[0]["stringData"]["users.acl"].splitlines()
    hashed = [re.sub(r">(\w+)", r"#\1_SHA256", line) for line in lines]
    of_compose = (ROOT / "docker/redis/users.acl").read_text().splitlines()
    assert hashed[0] == of_compose[0]
    assert hashed[1].startswith("user probe ")
    assert hashed[2:] == of_compose[1:]


@pytest.mark.parametrize("user", ["api", "worker"])
def test_each_pod_has_the_password_of_its_own_user_alone(
    pods: dict[str, Manifest], user: str
) -> None:
    references = under("secretKeyRef", pods[f"shapshot-{user}"])
    assert references == [{"name": "shapshot-redis", "key": f"{user}-url"}]


def test_its_redis_refuses_new_data_before_the_cluster_kills_it(
    pods: dict[str, Manifest],
) -> None:
    [container] = pods["shapshot-redis"]["containers"]
    [megabytes] = re.findall(r"--maxmemory (\d+)mb", " ".join(container["args"]))
    assert container["resources"]["limits"]["memory"] == "1Gi"
    assert int(megabytes) <= 0.75 * 1024


def test_its_probes_see_whether_it_answers_and_nothing_else(
    pods: dict[str, Manifest],
) -> None:
    [container] = pods["shapshot-redis"]["containers"]
    try:
        server = find_server()
    except RedisNotFoundError as error:
        skip_or_raise(error)
    with guarded_by(USERS["kubernetes"], server) as guarded:
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert _succeeds(container[name]["exec"]["command"], guarded)
        with connect(guarded.url_of("probe")) as probe:
            for command in ("GET shapshot:totals", "CONFIG GET *", "ACL LIST", "DBSIZE"):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    probe.execute_command(*command.split())
        guarded.kill()
        assert not _succeeds(container["livenessProbe"]["exec"]["command"], guarded)


def _succeeds(command: list[str], guarded: Guarded) -> bool:
    """Run a probe as its container would, except that Redis has another address."""
    there = [word.replace("redis-cli", f"redis-cli -s {guarded.socket}") for word in command]
    return subprocess.run(there, stderr=subprocess.DEVNULL).returncode == 0


# --- Settings, here and wherever else a deployer meets them


OF_COMPOSE = {
    "SHAPSHOT_REDIS_API_PASSWORD",
    "SHAPSHOT_REDIS_WORKER_PASSWORD",
    "SHAPSHOT_PUBLISH",
    "SHAPSHOT_MODELS_FOLDER",
    "SHAPSHOT_WORKER_EXTRAS",
    "SHAPSHOT_REDIS_MAXMEMORY",
    "SHAPSHOT_API_MEMORY",
    "SHAPSHOT_WORKER_MEMORY",
}
OF_THE_COMMAND_LINE = {"SHAPSHOT_URL", "SHAPSHOT_API_KEY"}
TOLD = sorted(
    file
    for folder, pattern in (("docker", "**/*"), ("docs", "**/*.md"), (".", "README.md"))
    for file in (ROOT / folder).glob(pattern)
    if file.is_file() and file.suffix in ("", ".md", ".yaml", ".example", ".Dockerfile")
)


def settable() -> set[str]:
    names = ApiSettings.model_fields.keys() | WorkerSettings.model_fields.keys()
    return {f"SHAPSHOT_{name}".upper() for name in names}


@pytest.mark.parametrize("file", TOLD, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_documented_setting_exists(file: Path) -> None:
    told = set(re.findall(r"\bSHAPSHOT_[A-Z_]*[A-Z]\b", file.read_text()))
    assert told <= settable() | OF_COMPOSE | OF_THE_COMMAND_LINE


def test_the_settings_of_the_config_map_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    [config_map] = read(K8S / "base/settings.yaml")
    assert set(config_map["data"]) <= settable()
    for name, value in config_map["data"].items():
        monkeypatch.setenv(name, value)
    ApiSettings()
    WorkerSettings()
