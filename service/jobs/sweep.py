"""Removes the artifacts of explanations that expired or were deleted."""

import structlog

from service.infra.artifact_store import Store, StoreError
from service.jobs.maintenance import Maintenance

log = structlog.get_logger(__name__)


PAGE = 100  # ids


def sweep_due(maintenance: Maintenance, store: Store, *, tombstone_s: int) -> bool:
    """Sweep one page of due explanations; return whether there may be more."""
    due = maintenance.expired(PAGE)
    swept = [sweep(id_, maintenance, store, tombstone_s=tombstone_s) for id_ in due]
    return len(due) == PAGE and all(swept)


def sweep(explanation_id: str, maintenance: Maintenance, store: Store, *, tombstone_s: int) -> bool:
    """Remove its artifacts, then its record; if the store fails, a later sweep retries both."""
    try:
        store.delete_explanation(explanation_id)
    except StoreError as error:
        log.warning("sweep failed; retried later", id=explanation_id, cause=error.cause)
        return False
    maintenance.leave_tombstone(explanation_id, tombstone_s=tombstone_s)
    return True
