"""Whether Redis and the store belong together, as a metric and as a problem."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.api.http.problems import ApiError, retry_after
from service.jobs.store_identity import StoreIdentity, StoreMatch
from service.schemas.documents import ErrorCode

ACCEPT = "where it is lost for good, accept that with `shapshot adopt`"


def mismatch_problem(match: StoreMatch) -> ApiError:
    """What clients and monitors are told of one that is not SAME."""
    code = ErrorCode.DATA_LOST if match.store_fits else ErrorCode.STORE_UNAVAILABLE
    return ApiError(code, f"{match.problem}; {ACCEPT}", headers=retry_after())


class StoreMatchMetrics(Collector):
    """Each way not to match: 1 where it is so."""

    def __init__(self, identity: StoreIdentity) -> None:
        self._identity = identity

    def describe(self) -> list[Metric]:
        """Nothing ahead of time: a process starts while Redis is away."""
        return []

    def collect(self) -> Iterator[Metric]:
        found = self._identity.recent()
        family = GaugeMetricFamily(
            "shapshot_data_mismatch",
            "Whether Redis and the store do not belong together, by how",
            labels=["reason"],
        )
        for match in StoreMatch:
            if match is not StoreMatch.SAME:
                family.add_metric([match.value], match is found)
        yield family
