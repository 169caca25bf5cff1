"""Attributions of image classifiers: numbers in, numbers out."""

from collections.abc import Callable

from worker.engine.exact import Exact
from worker.engine.gaussian_process import GaussianProcess
from worker.engine.kernel import Kernel
from worker.engine.method import Game, Method
from worker.engine.partition import Partition
from worker.engine.permutation import Permutation
from worker.engine.request import Request

METHODS: dict[str, Callable[[Game, Request], Method]] = {
    "partition": Partition.of,
    "permutation": Permutation.of,
    "kernel": Kernel.of,
    "exact": Exact.of,
    "gaussian_process": GaussianProcess.of,
}
