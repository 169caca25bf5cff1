"""`python -m service.api.openapi`: writes the API and the schemas of signed files to openapi/."""

import json
from pathlib import Path
from typing import Any

from service.api.app import create_app
from service.api.services import ProcessServices
from service.infra.settings.api import ApiSettings
from service.schemas.audit import SEGMENT_TYPE, SegmentStatement
from service.schemas.base import ResponseModel
from service.schemas.record import BUNDLE_TYPE, PREDICATE_TYPE, BundleStatement, Statement
from service.schemas.results import Faithfulness
from service.schemas.reviews import REVIEW_TYPE, ReviewStatement

DOCUMENT = Path("openapi/openapi.json")
SCHEMAS: dict[Path, tuple[type[ResponseModel], str]] = {  # with its name, a URN
    Path("openapi/record.schema.json"): (Statement, PREDICATE_TYPE),
    Path("openapi/manifest.schema.json"): (BundleStatement, BUNDLE_TYPE),
    Path("openapi/review.schema.json"): (ReviewStatement, REVIEW_TYPE),
    Path("openapi/audit-segment.schema.json"): (SegmentStatement, SEGMENT_TYPE),
    Path("openapi/faithfulness.schema.json"): (Faithfulness, "urn:shapshot:faithfulness:v1"),
}


def render_document() -> str:
    services = ProcessServices.of(ApiSettings(store_url="memory:"))  # creates no folder
    return _written(create_app(services).openapi())


def render_schema(path: Path) -> str:
    """Returns the JSON Schema of what SCHEMAS names there: a statement, or a file of a bundle."""
    model, name = SCHEMAS[path]
    schema = model.model_json_schema(mode="serialization", by_alias=True)
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return _written({"$schema": dialect, "$id": name, **schema})


def _written(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(render_document())
    for path in SCHEMAS:
        path.write_text(render_schema(path))
