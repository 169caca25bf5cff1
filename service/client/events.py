"""The server-sent events of an explanation."""

from dataclasses import dataclass, field

from service.client.errors import ShapshotError
from service.schemas.documents import Explanation, Problem

SILENCE_S = 60  # the server sends a comment every 15 s
PAUSE_S = 0.5  # before connecting again after a stream that ended early


@dataclass
class EventReader:
    """Parses lines of a stream, and remembers the last event over several streams."""

    last_id: str | None = None
    done: bool = False
    _fields: dict[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request that continues the stream."""
        return {"Last-Event-ID": self.last_id} if self.last_id else {}

    def connected(self) -> None:
        """Forget the event that the previous stream did not complete."""
        self._fields = {}

    def read(self, line: str) -> Explanation | None:
        """Return the document of an event that this line ends and that is new.

        Raises ShapshotError if the explanation is gone.
        """
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return None
        event, self._fields = self._fields, {}
        if "data" not in event:  # a comment
            return None
        if event["event"] == "gone":
            raise ShapshotError(Problem.model_validate_json(event["data"]))
        if event["event"] not in ("progress", "done"):  # of a newer server
            return None
        self.done = event["event"] == "done"
        if event["id"] == self.last_id:
            return None
        self.last_id = event["id"]
        return Explanation.model_validate_json(event["data"])
