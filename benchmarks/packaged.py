"""Compares building a packaged network anew with loading it from a Keras file.

It shows whether a cache would pay. `python -m benchmarks.packaged [ROUNDS]`; each measurement is in
its own process, after the import of Keras.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

PREPARED = """
import os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
from worker.models.packaged import open_packaged
keras.layers.Dense(1)(keras.Input((3,)))  # what the first layer of a process costs
wall, cpu = time.perf_counter(), time.process_time()
{work}
print(f"{{time.perf_counter() - wall:.2f}} s, {{time.process_time() - cpu:.2f}} s of CPU")
"""
BUILD = "model = open_packaged('efficientnet-lite0')"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "model.keras"
        measured(f"{BUILD}; model.save({str(saved)!r})")
        load = f"keras.saving.load_model({str(saved)!r}, compile=False, safe_mode=True)"
        for _ in range(rounds):
            print(f"built anew {measured(BUILD)}; loaded from a Keras file {measured(load)}")


def measured(work: str) -> str:
    code = PREPARED.format(work=work)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ended.stdout.strip()


if __name__ == "__main__":
    main()
