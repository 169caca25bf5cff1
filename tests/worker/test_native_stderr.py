"""Native code's writes to stderr become log lines, including the last ones before a crash."""

import json
import signal
import subprocess
import sys

PROGRAM = """
import os
from service.infra.logging import configure_logging
from worker.native_stderr import relay_native_stderr
relay = relay_native_stderr()
configure_logging(level="INFO", as_json=True)
import logging
logging.getLogger("ours").warning("said by Python")
os.write(2, b"E0000 00:00:1.5 12 cuda.cc:52] no device\\nplain \\xff words\\n")
os.abort()
"""


def test_native_lines_are_json_with_their_level_even_if_the_process_crashes() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True)
    assert ended.returncode == -signal.SIGABRT
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert sorted((line["logger"], line["level"], line.get("line")) for line in lines) == [
        ("ours", "warning", None),
        ("worker.native_stderr", "error", "E0000 00:00:1.5 12 cuda.cc:52] no device"),
        ("worker.native_stderr", "info", "plain \ufffd words"),
    ]
