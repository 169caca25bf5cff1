"""Live workers, and the models that they serve."""

import time

from service.jobs.worker_registry import (
    NO_WORKER_REASON,
    SEEN,
    WORKERS,
    announce,
    deregister,
    read_live_workers,
)
from service.schemas.models import ModelStatus


def test_without_any_announcement_there_are_no_cards(connection):
    assert read_live_workers(connection).cards == []
    assert len(read_live_workers(connection).workers) == 0


def test_cards_are_sorted_with_the_default_first_then_by_name(connection, new_card):
    cards = [new_card(name=name, default=name == "m") for name in ("z", "a", "m")]
    announce(connection, "w", cards, lease_s=30)
    assert [card.name for card in read_live_workers(connection).cards] == ["m", "a", "z"]
    assert len(read_live_workers(connection).workers) == 1


def test_a_card_outlives_its_worker_as_unavailable(connection, new_card):
    announce(connection, "w", [new_card()], lease_s=30)
    deregister(connection, "w")
    [card] = read_live_workers(connection).cards
    assert (card.status, card.reason) == (ModelStatus.UNAVAILABLE, NO_WORKER_REASON)
    assert card.labels == new_card().labels
    assert len(read_live_workers(connection).workers) == 0


def test_a_silent_worker_serves_no_model(connection, new_card):
    announce(connection, "w", [new_card()], lease_s=30)
    connection.zadd(WORKERS, {"w": time.time() - 1})
    assert read_live_workers(connection).cards[0].status is ModelStatus.UNAVAILABLE


def test_the_best_card_of_several_workers_counts(connection, new_card):
    loading = new_card(status=ModelStatus.LOADING, reason="its weights are being read")
    announce(connection, "old", [new_card()], lease_s=30)
    announce(connection, "new", [loading], lease_s=30)
    assert read_live_workers(connection).cards[0].status is ModelStatus.AVAILABLE
    deregister(connection, "old")
    assert read_live_workers(connection).cards[0] == loading


def test_announcing_again_replaces_the_card(connection, new_card):
    announce(connection, "w", [new_card()], lease_s=30)
    announce(connection, "w", [new_card(description="better")], lease_s=30)
    assert [card.description for card in read_live_workers(connection).cards] == ["better"]


def test_a_model_is_remembered_with_its_last_usable_card(connection, new_card):
    announce(connection, "w", [new_card()], lease_s=30)
    blank = new_card(status=ModelStatus.LOADING, parts=None, input_shape=None)
    announce(connection, "w", [blank], lease_s=30)
    assert read_live_workers(connection).cards == [blank]
    assert read_live_workers(connection).usable == [new_card()]


def test_a_model_that_was_never_usable_is_remembered_too(connection, new_card):
    broken = new_card(status=ModelStatus.UNAVAILABLE, reason="it is no model")
    announce(connection, "w", [new_card(status=ModelStatus.LOADING)], lease_s=30)
    announce(connection, "w", [broken], lease_s=30)
    assert read_live_workers(connection).usable == [broken]


def test_without_live_workers_the_last_default_is_remembered(connection, new_card):
    for name in ("m", "a"):
        announce(connection, "w", [new_card(name=name)], lease_s=30)
        deregister(connection, "w")
    present = read_live_workers(connection)
    assert not any(card.default for card in present.cards)
    assert [(card.name, card.default) for card in present.usable] == [("a", True), ("m", False)]


def test_a_model_that_is_no_longer_announced_is_forgotten(connection, new_card):
    announce(connection, "w", [new_card(name="old"), new_card(name="kept")], lease_s=30)
    connection.zadd(SEEN, {"old": time.time() - 61})
    announce(connection, "w", [new_card(name="kept")], lease_s=30, remember_s=60)
    assert [card.name for card in read_live_workers(connection).cards] == ["kept"]
    assert connection.zcard(SEEN) == 1
