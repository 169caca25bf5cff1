"""`python -m tests.lint_lua`: runs luacheck on the Redis scripts, as part of `make check`.

Every script starts with the shared functions. So luacheck reads one text: the shared functions,
then each script as a function; that also reveals functions that no script uses.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import service.jobs.scripts
from service.jobs.scripts import SHARED

FOLDER = Path(service.jobs.scripts.__file__).parent / "lua"
LANGUAGE = ("--std", "lua51", "--read-globals", "redis", "cjson", "KEYS", "ARGV")
FORMAT = ("--max-line-length", "100", "--no-color", "--quiet", "--formatter", "plain")


def main() -> int:
    if not shutil.which("luacheck"):
        print("luacheck is not installed (apt-get install lua-check): the Lua is not linted")
        return 1 if os.environ.get("CI") else 0
    lines = list(_lines())
    text = "\n".join(line for line, _ in lines)
    command = ["luacheck", *LANGUAGE, *FORMAT, "--no-config", "--filename", "all", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    for complaint in (done.stdout + done.stderr).splitlines():
        print(re.sub(r"^all:(\d+)", lambda found: lines[int(found[1]) - 1][1], complaint))
    return done.returncode


def _lines() -> Iterator[tuple[str, str]]:
    """Yield each line with its file and number."""
    scripts = sorted(path.stem for path in FOLDER.glob("*.lua") if path.stem not in SHARED)
    yield "local scripts = {}", "all"
    for part in (*SHARED, *scripts):
        path = FOLDER / f"{part}.lua"
        numbered = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        found = [(line, f"{path.name}:{number}") for number, line in numbered]
        yield from (
            found
            if part in SHARED
            else [
                (f"function scripts.{part}()", path.name),
                *found,
                ("end", path.name),
            ]
        )
    yield "return scripts", "all"


if __name__ == "__main__":
    sys.exit(main())
