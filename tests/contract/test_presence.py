"""Which workers live and what they serve."""

import time

from service.contract.presence import (
    SILENT,
    WORKERS,
    announce,
    live_workers,
    read_cards,
    withdraw,
)
from service.contract.schema import ModelStatus


def test_nobody_has_announced_anything(connection):
    assert read_cards(connection) == []
    assert live_workers(connection) == 0


def test_cards_come_with_the_default_first_then_by_name(connection, new_card):
    cards = [new_card(name=name, default=name == "m") for name in ("z", "a", "m")]
    announce(connection, "w", cards, lease_s=30)
    assert [card.name for card in read_cards(connection)] == ["m", "a", "z"]
    assert live_workers(connection) == 1


def test_a_card_outlives_its_worker_as_unavailable(connection, new_card):
    announce(connection, "w", [new_card()], lease_s=30)
    withdraw(connection, "w")
    [card] = read_cards(connection)
    assert (card.status, card.reason) == (ModelStatus.UNAVAILABLE, SILENT)
    assert card.labels == new_card().labels
    assert live_workers(connection) == 0


def test_a_worker_that_fell_silent_serves_nothing(connection, new_card):
    announce(connection, "w", [new_card()], lease_s=30)
    connection.zadd(WORKERS, {"w": time.time() - 1})
    assert read_cards(connection)[0].status is ModelStatus.UNAVAILABLE


def test_of_several_workers_the_best_card_counts(connection, new_card):
    loading = new_card(status=ModelStatus.LOADING, reason="its weights are being read")
    announce(connection, "old", [new_card()], lease_s=30)
    announce(connection, "new", [loading], lease_s=30)
    assert read_cards(connection)[0].status is ModelStatus.AVAILABLE
    withdraw(connection, "old")
    assert read_cards(connection)[0] == loading


def test_announcing_again_replaces_the_card(connection, new_card):
    announce(connection, "w", [new_card()], lease_s=30)
    announce(connection, "w", [new_card(description="better")], lease_s=30)
    assert [card.description for card in read_cards(connection)] == ["better"]
