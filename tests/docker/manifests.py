"""The manifests for Kubernetes as they are applied: the base, and an overlay's patch over it."""

from pathlib import Path
from typing import Any

import yaml

K8S = Path(__file__).parents[2] / "docker" / "k8s"
Manifest = dict[str, Any]


def read(path: Path) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def base() -> list[Manifest]:
    [kustomization] = read(K8S / "base/kustomization.yaml")
    return [each for name in kustomization["resources"] for each in read(K8S / "base" / name)]


def with_gpu() -> list[Manifest]:
    """The base with the overlay's one patch."""
    [kustomization] = read(K8S / "gpu/kustomization.yaml")
    [patch] = [
        each for item in kustomization["patches"] for each in read(K8S / "gpu" / item["path"])
    ]
    patched = [merged(each, patch) if named(each) == named(patch) else each for each in base()]
    assert patched != base()
    return patched


def named(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def merged(whole: Any, patch: Any) -> Any:
    """A strategic merge: mappings by key, lists of named things by name, all else replaced."""
    if isinstance(whole, dict) and isinstance(patch, dict):
        return {key: merged(whole.get(key), patch.get(key)) for key in {**whole, **patch}}
    if (
        isinstance(whole, list)
        and isinstance(patch, list)
        and all("name" in each for each in patch)
    ):
        patches = {each["name"]: each for each in patch}
        return [merged(each, patches.get(each["name"])) for each in whole]
    return whole if patch is None else patch


def pod_of(manifest: Manifest) -> Manifest:
    """What its pods are made of."""
    spec: Manifest = manifest["spec"]["template"]["spec"]
    return spec


def workloads(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The pods of each workload, by its name."""
    kinds = ("Deployment", "StatefulSet")
    return {each["metadata"]["name"]: pod_of(each) for each in manifests if each["kind"] in kinds}
