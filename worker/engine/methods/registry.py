"""The methods by name. To add a method, add a file beside this one and a line here."""

from collections.abc import Callable

from worker.engine.methods.exact import Exact
from worker.engine.methods.gaussian_process import GaussianProcess
from worker.engine.methods.kernel import Kernel
from worker.engine.methods.partition import Partition
from worker.engine.methods.permutation import Permutation
from worker.engine.methods.protocol import Game, Method
from worker.engine.request import Request

METHODS: dict[str, Callable[[Game, Request], Method]] = {
    "partition": Partition.of,
    "permutation": Permutation.of,
    "kernel": Kernel.of,
    "exact": Exact.of,
    "gaussian_process": GaussianProcess.of,
}
