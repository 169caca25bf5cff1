"""A metric and a problem for a Redis and a store that do not belong together."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.api.http.problems import ApiError, retry_after
from service.jobs.store_identity import StoreIdentity, StoreMatch
from service.schemas.documents import ErrorCode

ACCEPT = "if data is lost for good, accept the loss with `shapshot adopt`"


def mismatch_problem(match: StoreMatch) -> ApiError:
    """The problem for clients and probes when the match is not SAME."""
    code = ErrorCode.DATA_LOST if match.store_fits else ErrorCode.STORE_UNAVAILABLE
    return ApiError(code, f"{match.problem}; {ACCEPT}", headers=retry_after())


class StoreMatchMetrics(Collector):
    """One gauge for each kind of mismatch: 1 while it holds."""

    def __init__(self, identity: StoreIdentity) -> None:
        self._identity = identity

    def describe(self) -> list[Metric]:
        """Returns nothing, so that registering does not need Redis."""
        return []

    def collect(self) -> Iterator[Metric]:
        found = self._identity.recent()
        family = GaugeMetricFamily(
            "shapshot_data_mismatch",
            "1 while Redis and the store do not belong together, by reason",
            labels=["reason"],
        )
        for match in StoreMatch:
            if match is not StoreMatch.SAME:
                family.add_metric([match.value], match is found)
        yield family
