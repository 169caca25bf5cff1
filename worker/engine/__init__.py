"""Attributions of image classifiers: numbers in, numbers out."""

from collections.abc import Callable

from worker.engine.method import Game, Method
from worker.engine.partition import Partition
from worker.engine.request import Request

METHODS: dict[str, Callable[[Game, Request], Method]] = {"partition": Partition.of}
