"""`python -m service.api.openapi`: writes the OpenAPI document to openapi/openapi.json."""

import json
from pathlib import Path

from service.api.app import create_app
from service.api.services import ProcessServices
from service.infra.settings.api import ApiSettings

DOCUMENT = Path("openapi/openapi.json")


def render_document() -> str:
    services = ProcessServices.of(ApiSettings(store_url="memory:"))  # creates no folder
    return json.dumps(create_app(services).openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(render_document())
