"""Counts the CPU cores that this process may use."""

import os
from math import ceil
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # CPU microseconds ("max": no limit) per period, period


def usable_cpus(quota: Path = QUOTA) -> int:
    """Count the cores in this process's CPU affinity, at most those of the container's limit."""
    scheduled = len(os.sched_getaffinity(0))
    try:
        allowed, period = quota.read_text().split()
    except OSError:  # no control groups of version 2
        return scheduled
    return scheduled if allowed == "max" else min(scheduled, ceil(int(allowed) / int(period)))


CPU_COUNT = usable_cpus()
