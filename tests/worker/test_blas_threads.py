"""A worker's linear algebra runs in one thread."""

import os
import subprocess
import sys

MAIN = """
from threadpoolctl import threadpool_info

import worker.main

try:
    worker.main.main()
except SystemExit:
    pass  # no Redis can be reached by that URL
print([pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"])
"""


def test_the_linear_algebra_of_a_worker_has_one_thread():
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "3", "SHAPSHOT_REDIS_URL": "none://"}
    ran = subprocess.run([sys.executable, "-c", MAIN], env=environment, capture_output=True)
    threads = ran.stdout.decode().splitlines()[-1]
    assert set(threads.strip("[]").split(", ")) == {"1"}, ran.stderr
