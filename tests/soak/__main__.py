"""Random faults, and a verdict on their history: `python -m tests.soak`.

SOAK_FAULTS: how many (300). SOAK_SEED: which, when and where (1); the same seed plans the same.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.soak.run import soak


def main() -> int:
    seed, faults = int(os.environ.get("SOAK_SEED", 1)), int(os.environ.get("SOAK_FAULTS", 300))
    folder = Path(tempfile.mkdtemp(prefix="shapshot-soak-"))
    print(f"seed {seed}, {faults} faults; logs and history in {folder}", flush=True)
    history = soak(folder, seed=seed, faults=faults)
    checker = Path(__file__).with_name("checker.py")
    return subprocess.run([sys.executable, "-I", checker, history]).returncode


if __name__ == "__main__":
    sys.exit(main())
