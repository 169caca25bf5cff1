"""The modules that a process really imports, and the packages that are shipped."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def _loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print('\\n'.join(sys.modules))"
    command = [sys.executable, "-W", "ignore", "-c", code]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    ("module", "strangers"),
    [
        (
            "service.api.server",
            {"worker", "service.infra.settings.worker", "tensorflow", "keras", "cv2", "shap"},
        ),
        ("service.cli.main", {"worker", "tensorflow", "keras", "cv2", "shap"}),
        *(
            (
                module,
                {"worker", "service.api", "redis", "rq", "obstore", "pydantic_settings"}
                | {"structlog", "typer", "fastapi", "starlette", "uvicorn"}
                | {"PIL", "matplotlib", "shap"},
            )
            for module in ("service.client", "shapshot")
        ),
        (
            "worker.main",
            {"service.api", "service.render", "fastapi", "uvicorn", "matplotlib", "skimage"},
        ),
        (
            "worker.engine.scoring.driver",
            {"service", "redis", "rq", "fastapi", "pydantic", "tensorflow", "openvino", "jax"},
        ),
        *(
            (module, {"worker", "service.api", "fastapi", "numpy", "tensorflow"})
            for module in (
                "service.jobs.submissions",
                "service.jobs.leases",
                "service.jobs.maintenance",
            )
        ),
    ],
)
def test_a_process_does_not_import_forbidden_packages(module, strangers):
    loaded = _loaded_by(module)
    assert module in loaded
    assert not loaded & strangers


@pytest.mark.parametrize(
    ("module", "dockerfile"),
    [("worker.main", "worker.Dockerfile"), ("service.api.server", "service.Dockerfile")],
)
def test_an_image_has_the_packages_that_its_process_imports(module, dockerfile):
    copied = re.findall(r"(?m)^COPY (\S+) ", (ROOT / "docker" / dockerfile).read_text())
    names = [name for name in _loaded_by(module) if name.split(".")[0] in ("service", "worker")]
    paths = [name.replace(".", "/") for name in names if "." in name]
    kept = tuple(f"{path}/" for path in copied)
    assert [path for path in paths if not f"{path}/".startswith(kept)] == []


@pytest.mark.parametrize("package", ["service", "shapshot", "worker"])
def test_files_other_than_python_are_installed_too(package):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"][package]
    packaged = {path for pattern in patterns for path in (ROOT / package).glob(pattern)}
    beside = {path for path in (ROOT / package).rglob("*.*") if path.is_file()}
    assert {path for path in beside if path.suffix not in (".py", ".pyc", ".md")} == packaged


def test_middleware_and_dependencies_get_what_they_need_as_arguments():
    """The state of the app would hide these dependencies from import-linter."""
    sources = (ROOT / "service").rglob("*.py")
    reading = {path.name for path in sources if re.search(r"app\"?\]?\.state", path.read_text())}
    assert reading == {"app.py", "services.py"}


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_file_named_by_its_path_exists(page):
    roots = "service|worker|tests|benchmarks|docs|docker|openapi"
    named = re.findall(rf"`((?:{roots})/[\w./-]+)`", (ROOT / page).read_text())
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_file_named_in_a_recipe_exists():
    """A name without a folder is in the folder of the name before it."""
    page = (ROOT / "CONTRIBUTING.md").read_text()
    recipes = page.partition("\n## Recipes\n")[2].partition("\n## ")[0].split("\n- ")[1:]
    assert len(recipes) > 10
    for recipe in recipes:
        folder = ROOT
        for name in re.findall(r"`([\w./-]+/[\w.-]*|[\w.-]+\.(?:py|js|lua|md|toml))`", recipe):
            path = ROOT / name if "/" in name or (ROOT / name).exists() else folder / name
            assert path.exists(), f"{name} of: {recipe}"
            folder = path if path.is_dir() else path.parent
