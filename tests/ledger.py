"""The transitions of the API, a worker and housekeeping in one class, as a test plays all three."""

from typing import Self

import redis

from service.infra.settings.api import ApiSettings
from service.infra.settings.shared import SharedSettings
from service.jobs.admission_limits import AdmissionLimits
from service.jobs.leases import Leases
from service.jobs.maintenance import Maintenance
from service.jobs.submissions import Submissions


class Ledger(Submissions, Leases, Maintenance):
    """The methods of all three; their names do not clash."""

    def __init__(
        self,
        connection: redis.Redis,
        *,
        queue: str,
        lease_s: int,
        retention_s: int,
        caps: AdmissionLimits = AdmissionLimits(),  # noqa: B008 - frozen
        interactive_share: int = 4,
    ) -> None:
        settings = ApiSettings.model_construct(  # unvalidated: leases of 0 s, None for no limit
            queue=queue,
            lease_s=lease_s,
            retention_s=retention_s,
            interactive_share=interactive_share,
            max_queued=caps.jobs,
            max_queued_bytes=caps.bytes,
            max_queued_per_key=caps.owner_jobs,
            max_queued_bytes_per_key=caps.owner_bytes,
        )
        for side in (Submissions, Leases, Maintenance):
            side.__init__(self, connection, settings)

    @classmethod
    def of(cls, connection: redis.Redis, settings: SharedSettings) -> Self:
        """Takes the settings of an API for both sides, those of a worker for its own."""
        of_api = settings if isinstance(settings, ApiSettings) else ApiSettings()
        return cls(
            connection,
            queue=settings.queue,
            lease_s=settings.lease_s,
            retention_s=settings.retention_s,
            caps=AdmissionLimits.of(of_api),
            interactive_share=of_api.interactive_share,
        )
