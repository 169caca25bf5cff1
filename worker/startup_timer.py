"""How long a worker took to get ready, and on what."""

import time


class StartupTimer:
    """A stopwatch that is told when each phase ends."""

    def __init__(self) -> None:
        # What came before is the import of modules: all CPU time of one thread
        self.seconds = {"imports_s": round(time.process_time(), 2)}
        self._began = time.perf_counter()

    def done(self, phase: str) -> None:
        """Count the time since the last phase as this one's."""
        now = time.perf_counter()
        self.seconds[f"{phase}_s"] = round(now - self._began, 2)
        self._began = now
