"""`python -m service.api.openapi`: writes the documents of openapi/: the API, and its records."""

import json
from pathlib import Path
from typing import Any

from service.api.app import create_app
from service.api.services import ProcessServices
from service.infra.settings.api import ApiSettings
from service.schemas.audit import SEGMENT_TYPE, SegmentStatement
from service.schemas.record import PREDICATE_TYPE, SignedStatement, Statement
from service.schemas.reviews import REVIEW_TYPE, ReviewStatement

DOCUMENT, RECORD_SCHEMA = Path("openapi/openapi.json"), Path("openapi/record.schema.json")
REVIEW_SCHEMA = Path("openapi/review.schema.json")
SEGMENT_SCHEMA = Path("openapi/audit-segment.schema.json")


def render_document() -> str:
    services = ProcessServices.of(ApiSettings(store_url="memory:"))  # creates no folder
    return _written(create_app(services).openapi())


def render_record_schema() -> str:
    """Returns the JSON Schema of the statement in a record."""
    return _schema(Statement, PREDICATE_TYPE)


def render_review_schema() -> str:
    """Returns the JSON Schema of the statement in a review."""
    return _schema(ReviewStatement, REVIEW_TYPE)


def render_segment_schema() -> str:
    """Returns the JSON Schema of the statement about a segment of the audit log."""
    return _schema(SegmentStatement, SEGMENT_TYPE)


def _schema(statement: type[SignedStatement], name: str) -> str:
    schema = statement.model_json_schema(mode="serialization", by_alias=True)
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return _written({"$schema": dialect, "$id": name, **schema})


def _written(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(render_document())
    RECORD_SCHEMA.write_text(render_record_schema())
    REVIEW_SCHEMA.write_text(render_review_schema())
    SEGMENT_SCHEMA.write_text(render_segment_schema())
