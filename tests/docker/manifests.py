"""The manifests for Kubernetes as they are applied: what kustomize makes of a folder."""

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
    """What `kubectl apply --kustomize` would send; no cluster is asked."""
    kubectl = shutil.which("kubectl", path=f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}")
    if not kubectl:
        skip_or_raise(FileNotFoundError("no kubectl in the environment or on PATH"))
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr  # it warns of what is deprecated
    return list(yaml.safe_load_all(done.stdout))


def named(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def pod_of(manifest: Manifest) -> Manifest:
    """What its pods are made of."""
    spec: Manifest = manifest["spec"]["template"]["spec"]
    return spec


def workloads(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The pods of each workload, by its name."""
    kinds = ("Deployment", "StatefulSet")
    return {each["metadata"]["name"]: pod_of(each) for each in manifests if each["kind"] in kinds}
