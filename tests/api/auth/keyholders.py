"""Keys for tests, made as `shapshot keys add` makes them, and the routes that they open."""

from pathlib import Path

from fastapi.routing import iter_route_contexts

from service.api.app import create_app
from service.api.auth.keys import Scope, new_key
from service.api.auth.keys_file import change_keys
from service.api.services import ProcessServices
from service.infra.settings.api import ApiSettings


def issue(keys_file: Path, name: str, *scopes: Scope) -> str:
    """Adds a new key with this name to the file; returns it."""
    token, key = new_key(name, scopes)
    change_keys(keys_file, lambda present: [*present, key])
    return token


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def routes() -> list[tuple[str, str]]:
    """Returns every method and path of the app, except those of mounted files."""
    found = iter_route_contexts(
        create_app(ProcessServices.of(ApiSettings(store_url="memory:"))).routes
    )
    return sorted((method, str(r.path)) for r in found for method in r.methods or ())
