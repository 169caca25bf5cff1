"""Tables of the guides that repeat what the code says."""

import importlib
import json
import re

from service.api.http.statuses import STATUSES
from service.infra.settings.api import ApiSettings
from service.infra.settings.worker import WorkerSettings
from service.schemas.documents import ErrorCode
from service.schemas.requests import BatchSettings, ExplanationSettings
from tests.docs.pages import ROOT, table_under

README, HTTP = ROOT / "README.md", ROOT / "docs" / "http.md"
LIMITS, CHOOSING = ROOT / "docs" / "limits.md", ROOT / "docs" / "choosing.md"
UNITS = {
    **{"KiB": 2**10, "MiB": 2**20, "GiB": 2**30},
    **{"s": 1, "hour": 3600, "day": 86400, "days": 86400},
    **{"characters": 1, "pixels": 1},
}
SETTINGS = ApiSettings.model_fields | WorkerSettings.model_fields
NO_LIMITS = {"port", "threads"}  # numbers that bound nothing


def test_the_readme_lists_every_endpoint():
    openapi = json.loads((ROOT / "openapi" / "openapi.json").read_text())
    there = {
        f"{method.upper()} {re.sub('explanation_id|batch_id', 'id', path)}"
        for path, methods in openapi["paths"].items()
        for method in methods
        if method in ("get", "post", "put", "patch", "delete")
    }
    listed = []
    for cell, _ in table_under(README, "| endpoint | what it does |"):
        for name in re.findall(r"`([A-Z]+ /[^`]*)`", cell):
            forms = re.findall(r"`(\.\w+)`", cell)
            listed += [name, *(name.removesuffix(".png") + form for form in forms)]
    assert sorted(listed) == sorted(there)


def test_the_guide_lists_every_setting_and_its_default():
    rows = table_under(HTTP, "| setting | default | what it does |")
    defaults = {name.strip("`"): default.strip("`") for name, default, _ in rows}
    assert defaults.keys() == ExplanationSettings.model_fields.keys()
    assert BatchSettings.model_fields.keys() - defaults.keys() == {"true_labels"}
    names = ("method", "masker", "regularization", "sampling", "link", "seed", "batch_size")
    for name in (*names, "prior", "score_scale", "interactions"):
        assert defaults[name] == str(ExplanationSettings.model_fields[name].default)


def test_the_guide_lists_every_code_with_its_status():
    listed = []
    for statuses, codes, _ in table_under(HTTP, "| status | codes | what to do |"):
        named = re.findall(r"`(\w+)`", codes)
        numbers = [int(number) for number in statuses.split(", ")]
        listed += [(STATUSES[ErrorCode(name)][0], name) for name in named]
        assert {STATUSES[ErrorCode(name)][0] for name in named} == set(numbers)
    assert sorted(listed) == sorted((status, code) for code, (status, _) in STATUSES.items())


def test_every_limit_is_what_it_is_said_to_be():
    for name, value, _, source in table_under(LIMITS, "| limit | value | beyond it | set by |"):
        if setting := re.fullmatch(r"`SHAPSHOT_(\w+)`", source):
            actual = SETTINGS[setting[1].lower()].default
        elif constant := re.fullmatch(r"`(\w+)(?:\[\"(\w+)\"\])?` of \[([\w/.]+)\]\(\S+\)", source):
            module = importlib.import_module(constant[3].removesuffix(".py").replace("/", "."))
            actual = getattr(module, constant[1])
            actual = actual[constant[2]] if constant[2] else actual
        else:
            assert source == "`max_bytes` in [models.toml](models.md#the-other-keys)"
            actual = 4 * 2**30
        if isinstance(actual, str):
            assert value == actual, name
        else:
            number, _, unit = value.removesuffix(" a second").partition(" ")
            assert int(number.replace(",", "")) * UNITS.get(unit, 1) == actual, name


def test_every_setting_that_is_a_number_is_listed_as_a_limit():
    text = LIMITS.read_text()
    numbers = {name for name, field in SETTINGS.items() if type(field.default) in (int, float)}
    missing = [name for name in numbers - NO_LIMITS if f"`SHAPSHOT_{name.upper()}`" not in text]
    assert missing == []


def test_every_status_beyond_a_limit_is_that_of_its_code():
    named = re.findall(r"(\d{3}) `(\w+)`", LIMITS.read_text())
    assert named
    assert [code for status, code in named if STATUSES[ErrorCode(code)][0] != int(status)] == []
