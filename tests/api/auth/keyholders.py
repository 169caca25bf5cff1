"""Keys for tests, made as `shapshot keys add` makes them, and all doors that they might open."""

from pathlib import Path

from fastapi.routing import iter_route_contexts

from service.api.app import create_app
from service.api.auth.keys import Scope, new_key
from service.api.auth.keys_file import change_keys
from service.api.services import ProcessServices
from service.infra.settings.api import ApiSettings


def issue(keys_file: Path, name: str, *scopes: Scope) -> str:
    """A new key of a name, in the file."""
    token, key = new_key(name, scopes)
    change_keys(keys_file, lambda present: [*present, key])
    return token


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def routes() -> list[tuple[str, str]]:
    """Every method and path of the app, but of files that are mounted."""
    found = iter_route_contexts(
        create_app(ProcessServices.of(ApiSettings(store_url="memory:"))).routes
    )
    return sorted((method, str(r.path)) for r in found for method in r.methods or ())
