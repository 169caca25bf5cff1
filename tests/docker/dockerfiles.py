"""Parses the Dockerfiles into stages."""

from functools import cache
from typing import NamedTuple

from dockerfile_parse import DockerfileParser
from dockerfile_parse.parser import image_from

from tests.docker.manifests import ROOT


class Instruction(NamedTuple):
    keyword: str
    value: str


@cache
def read_stages(dockerfile: str) -> dict[str, list[Instruction]]:
    """Return the instructions of each stage by its name, its FROM first; "" is a nameless stage."""
    with (ROOT / "docker" / dockerfile).open("rb") as file:
        parsed = DockerfileParser(fileobj=file).structure
    stages: dict[str, list[Instruction]] = {}
    for each in parsed:
        if each["instruction"] == "FROM":
            stages[image_from(each["value"])[1] or ""] = instructions = []
        if each["instruction"] != "COMMENT":
            instructions.append(Instruction(each["instruction"], each["value"]))
    return stages


def inherited(dockerfile: str, stage: str) -> list[Instruction]:
    """Return the instructions that make a stage's image, those of its parents first."""
    stages = read_stages(dockerfile)
    parent, _ = image_from(stages[stage][0].value)
    return [*(inherited(dockerfile, parent) if parent in stages else []), *stages[stage]]


def values(instructions: list[Instruction], keyword: str) -> list[str]:
    return [each.value for each in instructions if each.keyword == keyword]
