"""`shapshot adopt`: accept that Redis or the store lost its data."""

from typing import Annotated

import redis
import typer

from service.cli.console import console, exit_with_error
from service.infra.artifact_store import StoreError, open_store
from service.infra.settings.environment import SettingsError, read_settings
from service.infra.settings.shared import SharedSettings
from service.jobs.redis_connections import connect
from service.jobs.store_identity import StoreMatch, adopt_store, compare_store

CONSEQUENCES = {
    StoreMatch.REDIS_LOST: "What Redis knew stays forgotten: such ids answer 404. What is left of "
    "it in "
    "the store is removed when it is older than results are kept.",
    StoreMatch.STORE_LOST: "Results that this store does not have stay unreadable, and what waits "
    "without its picture will fail.",
    StoreMatch.DIFFERENT: "Whoever else uses this Redis, or this store, with another is then told "
    "that "
    "they do not match; and what this store has that this Redis does not know is removed when it "
    "is older than results are kept.",
}


def adopt_set(*, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Accept that Redis or the store has lost its data: as they are, they are one set from now on.

    It reads SHAPSHOT_REDIS_URL and SHAPSHOT_STORE_URL as the API does.
    """
    try:
        settings = read_settings(SharedSettings)
        store = open_store(settings.store_url)
        with connect(settings.redis_url) as connection:
            match = compare_store(connection, store)
            if match is StoreMatch.SAME:
                console.print("Redis and the store belong together: there is nothing to accept.")
                return
            console.print(f"{match.problem}.\n{CONSEQUENCES[match]}", soft_wrap=True)
            if not yes:
                typer.confirm("Is it to stay so?", abort=True)
            adopt_store(connection, store)
    except (SettingsError, StoreError, redis.RedisError) as error:
        exit_with_error(str(error))
    console.print("Redis and the store are one set now; every process sees it within seconds.")
