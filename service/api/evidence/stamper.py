"""Gets timestamps for sealed records from an authority; asks again while it is away.

A record is sealed without its timestamp, so sealing never waits for the authority. The script that
seals notes the id; any API process may get the timestamp, and the script that keeps it accepts one.
"""

import asyncio
import json
from base64 import b64decode

import redis
import structlog
from anyio import to_thread

from service.evidence.timestamps import TimestampError, request_timestamp, stamped_at
from service.infra.artifact_store import (
    DamagedArtifactError,
    MissingArtifactError,
    Store,
    StoreError,
    record_key,
    timestamp_key,
)
from service.infra.artifacts import Artifact, read_whole
from service.jobs.hash_reader import read_state
from service.jobs.records import State, TimestampReference
from service.jobs.sealing import RecordChain, is_explanation

PAGE = 32  # ids
PAUSE_S, OUTAGE_S = 1.0, 30.0  # between looks for records, and while the authority is away

log = structlog.get_logger(__name__)


class RecordStamper:
    """Gets timestamps from the authority at a URL."""

    def __init__(self, connection: redis.Redis, store: Store, url: str) -> None:
        self._redis = connection
        self._chain = RecordChain(connection)
        self._store = store
        self._url = url

    async def run(self) -> None:
        """Stamp records as they come, until cancelled."""
        while True:
            pause_s = PAUSE_S
            try:
                await to_thread.run_sync(self.stamp_some, abandon_on_cancel=True)
            except (redis.RedisError, StoreError, TimestampError) as error:
                log.warning("records cannot be stamped for now", cause=str(error))
                pause_s = OUTAGE_S
            await asyncio.sleep(pause_s)

    def stamp_some(self) -> None:
        """Stamp at most PAGE records. Raises RedisError, StoreError, TimestampError."""
        for id_ in self._chain.unstamped(PAGE):
            state = read_state(self._redis, id_) if is_explanation(id_) else None
            if state and state.record and not state.record.timestamp:
                self._stamp(state)
            else:
                self._chain.forget_unstamped(id_)

    def _stamp(self, state: State) -> None:
        record = state.record
        assert record  # noqa: S101 - by the caller
        key = record_key(state.id, record.envelope.sha256)
        try:
            envelope = json.loads(read_whole(self._store, key, record.envelope))
        except (MissingArtifactError, DamagedArtifactError) as error:
            log.warning("record not stamped", id=state.id, reason=str(error))
            return self._chain.forget_unstamped(state.id)
        content = request_timestamp(self._url, b64decode(envelope["signatures"][0]["sig"]))
        response = Artifact.of(content)
        place = timestamp_key(state.id, response.sha256)
        self._store.put(place, content)
        stamped = TimestampReference(response=response, stamped_at=stamped_at(content))
        stamped_record = record.model_copy(update={"timestamp": stamped})
        if self._chain.stamp(state.id, stamped_record) != "stamped":
            self._store.delete(place)
        return None
