"""`shapshot adopt`: accept that Redis or the store has lost its data."""

from typing import Annotated

import redis
import typer

from service.cli.connection import Json
from service.cli.console import console, exit_with_error, print_json
from service.infra.artifact_store import StoreError, open_store
from service.infra.settings.environment import SettingsError, read_settings
from service.infra.settings.shared import SharedSettings
from service.jobs.redis_connections import connect
from service.jobs.store_identity import StoreMatch, adopt_store, compare_store

CONSEQUENCES = {
    StoreMatch.REDIS_LOST: "What Redis lost stays lost: its ids answer 404. Their files in the "
    "store are deleted once they are older than the retention.",
    StoreMatch.STORE_LOST: "Results that this store lacks stay unreadable, and queued explanations "
    "without their picture will fail.",
    StoreMatch.DIFFERENT: "Other processes that use this Redis with another store, or this store "
    "with another Redis, will report a mismatch. Files in this store that this Redis does not know "
    "are deleted once they are older than the retention.",
}


def adopt_set(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Accept without asking.")] = False,
    as_json: Json = False,
) -> None:
    """Accept that Redis or the store has lost its data, and use both together as they are.

    Reads SHAPSHOT_REDIS_URL and SHAPSHOT_STORE_URL as the API does.
    """
    try:
        settings = read_settings(SharedSettings)
        store = open_store(settings.store_url)
        with connect(settings.redis_url) as connection:
            match = compare_store(connection, store)
            if match is StoreMatch.SAME:
                console.print("Redis and the store belong together; nothing to accept.")
                if as_json:
                    print_json({"problem": None, "accepted": False})
                return
            console.print(f"{match.problem}.\n{CONSEQUENCES[match]}", soft_wrap=True)
            if as_json and not yes:
                exit_with_error(f"{match.problem}; --json asks nothing: accept it by --yes")
            if not yes:
                typer.confirm("Accept this?", abort=True)
            adopt_store(connection, store)
    except (SettingsError, StoreError, redis.RedisError) as error:
        exit_with_error(str(error))
    console.print("Redis and the store belong together now; every process notices within seconds.")
    if as_json:
        print_json({"problem": match.problem, "accepted": True})
