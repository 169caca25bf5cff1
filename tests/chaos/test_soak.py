"""A short soak: `make soak` does hundreds of faults, this a few."""

from pathlib import Path

from tests.chaos.soak import soak
from tests.conftest import RedisServer


def test_random_faults_lose_and_double_nothing(mortal_redis: RedisServer, tmp_path: Path) -> None:
    report = soak(tmp_path, mortal_redis, seed=5, faults=5)
    assert report.accepted
    assert (report.lost, report.duplicated) == ([], []), report
