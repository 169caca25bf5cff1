"""A worker that cannot start says why in one line, and ends."""

import json
import os
import subprocess
import sys
from pathlib import Path


def test_an_alive_file_that_cannot_be_touched_is_refused_at_the_start(
    redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    alive_file = tmp_path / "file" / "alive"
    environment = {
        **os.environ,
        "SHAPSHOT_REDIS_URL": redis_url,
        "SHAPSHOT_STORE_URL": "memory:",
        "SHAPSHOT_ALIVE_FILE": str(alive_file),
    }
    command = [sys.executable, "-m", "worker.main"]
    ended = subprocess.run(command, env=environment, capture_output=True, timeout=60)
    (line,) = [json.loads(each) for each in ended.stderr.splitlines()]
    assert ended.returncode == 1
    assert line["event"] == "the worker cannot start"
    assert f"Not a directory: '{alive_file}'" in line["reason"]
