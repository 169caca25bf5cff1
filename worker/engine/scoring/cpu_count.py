"""How many CPU cores this process may use."""

import os
from math import ceil
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # "max 100000", or microseconds of CPU a period and that


def usable_cpus(quota: Path = QUOTA) -> int:
    """Count the cores that the scheduler gives this process, and a container's limit leaves it."""
    scheduled = len(os.sched_getaffinity(0))
    try:
        allowed, period = quota.read_text().split()
    except OSError:  # no control groups, or none of version 2
        return scheduled
    return scheduled if allowed == "max" else min(scheduled, ceil(int(allowed) / int(period)))


CPU_COUNT = usable_cpus()
