"""Measures the phases of a worker's start."""

import time


class StartupTimer:
    """Records the seconds of each phase of the start."""

    def __init__(self) -> None:
        # The CPU time so far is the import of modules, which one thread does
        self.seconds = {"imports_s": round(time.process_time(), 2)}
        self._began = time.perf_counter()

    def done(self, phase: str) -> None:
        """Record the time since the previous phase ended as the time of `phase`."""
        now = time.perf_counter()
        self.seconds[f"{phase}_s"] = round(now - self._began, 2)
        self._began = now
