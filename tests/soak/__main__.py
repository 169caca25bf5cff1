"""Injects random faults and checks the history: `python -m tests.soak`.

SOAK_FAULTS: number of faults on each store (150). SOAK_SEED: seed of their kinds, times and targets
(1). SOAK_STORE: `folder` or `s3`; unset: one after the other.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.soak.run import soak

STORES = ("folder", "s3")


def main() -> int:
    seed, faults = int(os.environ.get("SOAK_SEED", 1)), int(os.environ.get("SOAK_FAULTS", 150))
    stores = os.environ.get("SOAK_STORE", "").split() or STORES
    return max(_run(seed, faults, store) for store in stores)


def _run(seed: int, faults: int, store: str) -> int:
    folder = Path(tempfile.mkdtemp(prefix="shapshot-soak-"))
    told = f"seed {seed}, {faults} faults, store {store}"
    print(f"{told}; logs and history in {folder}", flush=True)
    history = soak(folder, seed=seed, faults=faults, on_s3=store == "s3")
    checker = Path(__file__).with_name("checker.py")
    return subprocess.run([sys.executable, "-I", checker, history]).returncode


if __name__ == "__main__":
    sys.exit(main())
