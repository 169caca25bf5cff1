"""The Dockerfiles, checked without an engine; `make compose-test` checks the images."""

import re
from pathlib import Path

import pytest

from tests.docker.dockerfiles import inherited, read_stages, values
from tests.docker.manifests import ROOT

DOCKERFILES = ("service.Dockerfile", "worker.Dockerfile")
TARGETS = [("service.Dockerfile", ""), ("worker.Dockerfile", "cpu"), ("worker.Dockerfile", "gpu")]


def installs(dockerfile: str) -> list[str]:
    lines = [line for stage in read_stages(dockerfile).values() for line in values(stage, "RUN")]
    return [line for line in lines if "/pip " in line and " install " in line]


def test_the_worker_is_built_for_the_cpu_unless_a_target_is_named() -> None:
    assert list(read_stages("worker.Dockerfile"))[-1] == "cpu"


@pytest.mark.parametrize(("dockerfile", "target"), TARGETS)
def test_an_image_runs_as_an_unprivileged_user(dockerfile: str, target: str) -> None:
    users = values(inherited(dockerfile, target), "USER")
    assert users[-1:] == ["10001:10001"]


@pytest.mark.parametrize(("dockerfile", "target"), TARGETS)
def test_an_image_says_whether_it_is_healthy_and_gets_its_signals(
    dockerfile: str, target: str
) -> None:
    instructions = inherited(dockerfile, target)
    assert "/app/healthy.py" in values(instructions, "HEALTHCHECK")[-1]
    assert values(instructions, "CMD")[-1].startswith('["python", "-m", ')  # not run by a shell
    assert values(instructions, "STOPSIGNAL") == ["SIGTERM"]


@pytest.mark.parametrize(("dockerfile", "target"), TARGETS)
def test_an_image_has_no_compiler_and_no_pip(dockerfile: str, target: str) -> None:
    installed = " ".join(
        line for line in values(inherited(dockerfile, target), "RUN") if "apt-get" in line
    )
    assert "python3" in installed.split()
    assert not re.search(r"\b(gcc|build-essential|python3-(dev|pip|venv))\b", installed)


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_every_installation_is_constrained_and_comes_before_the_code(dockerfile: str) -> None:
    assert installs(dockerfile)
    for line in installs(dockerfile):
        assert "--constraint constraints.txt" in line
    for stage in read_stages(dockerfile).values():
        if any("/pip " in line for line in values(stage, "RUN")):
            assert not re.search(r"\b(service|worker)\b", " ".join(values(stage, "COPY")))


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_every_image_can_send_traces(dockerfile: str) -> None:
    for line in installs(dockerfile):
        extras = re.findall(r"\.\[(.*?)\]", line)[0].split(",")
        assert {"heic", "otel"} <= set(extras)


def test_every_worker_image_has_the_default_model() -> None:
    for line in installs("worker.Dockerfile"):
        assert "imagenet" in re.findall(r"\.\[(.*?)\]", line)[0].split(",")


def test_the_api_has_neither_the_worker_nor_its_libraries() -> None:
    assert [re.findall(r"'\.\[(.*?)\]'", line) for line in installs("service.Dockerfile")] == [
        ["service,heic,otel,pdf"]
    ]
    for stage in read_stages("service.Dockerfile").values():
        assert not any(re.search(r"tensorflow|opencv", each.value) for each in stage)
        assert not any(copied.startswith("worker") for copied in values(stage, "COPY"))


def test_the_worker_image_has_only_the_shared_packages_of_the_service() -> None:
    copied = values(read_stages("worker.Dockerfile")["code"], "COPY")
    assert [each for each in copied if each.startswith("service")] == [
        "service/__init__.py service/",
        "service/schemas service/schemas",
        "service/jobs service/jobs",
        "service/images service/images",
        "service/infra service/infra",
    ]


def test_only_files_that_the_images_need_reach_the_build() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert lines[1] == "*"
    for dockerfile in DOCKERFILES:
        for stage in read_stages(dockerfile).values():
            for copy in values(stage, "COPY"):
                if copy.startswith("--from"):
                    continue
                for source in copy.split()[:-1]:
                    assert (ROOT / source).exists()
                    assert any(Path(source).match(k) or source.startswith(f"{k}/") for k in kept)


@pytest.mark.parametrize("name", ["constraints.txt", "docker/constraints-gpu.txt"])
def test_constraints_are_exact(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins
    of_some_pythons = r"(; python_version (<|>=) '3\.\d+')?"
    exact = re.compile(rf"[A-Za-z0-9._-]+==[A-Za-z0-9.]+{of_some_pythons}")
    assert all(exact.fullmatch(line) for line in pins)
