"""Removing what is left of an explanation that expired or was deleted."""

import structlog

from service.contract.ledger import Ledger
from service.contract.store import Store, StoreError

log = structlog.get_logger(__name__)


def sweep(explanation_id: str, ledger: Ledger, store: Store, *, tombstone_s: int) -> None:
    """Remove its artefacts, then forget it; where the store refuses, a later sweep does both."""
    try:
        store.delete_explanation(explanation_id)
    except StoreError as error:
        log.warning("not swept yet", id=explanation_id, reason=str(error))
        return
    ledger.bury(explanation_id, tombstone_s=tombstone_s)
