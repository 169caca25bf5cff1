"""The Kubernetes manifests as they are applied: the output of kustomize for a folder."""

import os
import shutil
import subprocess
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import skip_or_raise

ROOT = Path(__file__).parents[2]
K8S = ROOT / "docker" / "k8s"
Manifest = dict[str, Any]


def read(path: Path) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


@cache
def kustomized(folder: Path) -> list[Manifest]:
    """Return the objects that `kubectl apply --kustomize` would send; needs no cluster."""
    kubectl = shutil.which("kubectl", path=f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}")
    if not kubectl:
        skip_or_raise(FileNotFoundError("no kubectl in the environment or on PATH"))
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr  # deprecations are warnings
    return list(yaml.safe_load_all(done.stdout))


def named(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def pod_of(manifest: Manifest) -> Manifest:
    """Return the pod template of a workload."""
    spec: Manifest = manifest["spec"]["template"]["spec"]
    return spec


def workloads(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Return the pod template of each workload, by name."""
    kinds = ("Deployment", "StatefulSet")
    return {each["metadata"]["name"]: pod_of(each) for each in manifests if each["kind"] in kinds}
