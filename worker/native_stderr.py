"""Turns lines that native libraries write to stderr into log lines.

TensorFlow's messages can be neither silenced nor redirected. A separate process relays them, so
that messages written just before the worker crashes are kept.
"""

import logging
import os
import re
import signal
import subprocess
import sys

import structlog

from service.infra.logging import configure_logging

_LEVELS = {"I": logging.INFO, "W": logging.WARNING, "E": logging.ERROR, "F": logging.CRITICAL}
_GLOG = re.compile(r"([IWEF])\d{4} ")  # as in `E0000 00:00:1.2 12 file.cc:52] what went wrong`

log = structlog.get_logger("worker.native_stderr")  # not __main__


def relay_native_stderr() -> "subprocess.Popen[bytes]":
    """Redirect file descriptor 2 to a relay process; `sys.stderr` keeps the original target."""
    kept = os.dup(2)
    relay = subprocess.Popen(
        [sys.executable, "-m", "worker.native_stderr"],
        stdin=subprocess.PIPE,
        start_new_session=True,  # keeps signals to the worker's group away from it
    )
    assert relay.stdin  # noqa: S101 - set by stdin=PIPE
    os.dup2(relay.stdin.fileno(), 2)
    relay.stdin.close()
    sys.stderr = os.fdopen(kept, "w", buffering=1)
    return relay


def main() -> None:
    """Relay until the worker closes its end of the pipe."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    configure_logging(level="INFO", as_json=True)
    for line in sys.stdin.buffer:
        if text := line.decode(errors="replace").strip():
            known = _GLOG.match(text)
            level = _LEVELS[known[1]] if known else logging.INFO
            log.log(level, "native library", line=text)


if __name__ == "__main__":
    main()
