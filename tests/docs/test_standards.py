"""The page on laws and standards names routes, fields and settings that exist."""

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from service.infra.settings.api import ApiSettings
from service.schemas.audit import AuditEntry
from service.schemas.documents import Explanation
from service.schemas.models import ModelCard
from service.schemas.record import Record
from service.schemas.reviews import Review
from service.schemas.warnings import WarningCode
from service.schemas.webhooks import EVENTS
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "standards.md").read_text()
ROOTS = {
    **{"record": Record, "review": Review, "audit": AuditEntry},
    **{"document": Explanation, "card": ModelCard},
}
FIELDS = sorted(set(re.findall(rf"`((?:{'|'.join(ROOTS)})\.[\w.]+)`", PAGE)))
ROUTES = sorted(set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`]+)`", PAGE)))
SETTINGS = sorted(set(re.findall(r"`SHAPSHOT_(\w+)`", PAGE)))


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yields the models of an annotation such as `list[Model] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


def test_it_names_some_of_each() -> None:
    assert len(FIELDS) > 30
    assert len(ROUTES) > 15
    assert len(SETTINGS) == 5


@pytest.mark.parametrize("path", FIELDS)
def test_a_field_exists(path: str) -> None:
    root, *names = path.split(".")
    kinds: list[type[BaseModel]] = [ROOTS[root]]
    for name in names:
        fields = [kind.model_fields[name] for kind in kinds if name in kind.model_fields]
        assert fields, f"{path}: no field {name}"
        kinds = [kind for field in fields for kind in models_in(field.annotation)]


@pytest.mark.parametrize("route", ROUTES)
def test_a_route_exists(route: str) -> None:
    openapi = json.loads((ROOT / "openapi" / "openapi.json").read_text())
    there = {
        f"{method.upper()} {re.sub('explanation_id|batch_id', 'id', path)}"
        for path, methods in openapi["paths"].items()
        for method in methods
    }
    assert route in there


def test_settings_warnings_and_events_exist() -> None:
    assert {name.lower() for name in SETTINGS} <= ApiSettings.model_fields.keys()
    for code in ("picture_cropped", "other_colours", "few_levels"):
        assert f"`{code}`" in PAGE
        assert code in set(WarningCode)
    assert "`explanation.recorded`" in PAGE
    assert "explanation.recorded" in EVENTS


def test_the_defaults_are_those_that_it_names() -> None:
    assert "`SHAPSHOT_AUDIT_DAYS` (400)" in PAGE
    assert ApiSettings.model_fields["audit_days"].default == 400
    assert ApiSettings.model_fields["audit"].default == "reads"
    assert "**the default is 7 days**" in PAGE
    assert ApiSettings.model_fields["retention_s"].default == 7 * 86400
    assert 184 * 86400 == 15897600  # the longest six months
