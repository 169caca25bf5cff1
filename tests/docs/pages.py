"""The Markdown pages: their fenced blocks, links and headings."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [
    *GUIDES,
    *sorted((ROOT / "docs" / "decisions").glob("*.md")),
    *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(ROOT / name / "README.md" for name in ("openapi/examples", "service/samples")),
    ROOT / "worker" / "bundled" / "README.md",
]

_FENCE = re.compile(r"(?P<indent> *)```(?P<language>\w*)$")
_NOTE = re.compile(r" *<!-- (?P<note>.*) -->$")
_HEADING = re.compile(r"#+ (?P<title>.*)")
_LINK = re.compile(r"!?\[(?:[^][]|\[[^]]*\])*\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block; note: the HTML comment on the line before it."""

    page: Path
    line: int
    language: str
    note: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def noted(self, kind: str) -> str | None:
        """What the note says after `kind:`, or None if it is of another kind."""
        found = re.fullmatch(rf"{kind}: (.+)", self.note)
        return found[1] if found else None


def blocks_of(page: Path) -> list[Block]:
    """Returns all fenced blocks, in order."""
    found, lines = [], page.read_text().splitlines()
    number = 0
    while number < len(lines):
        fence = _FENCE.fullmatch(lines[number])
        if fence:
            end = next(n for n in range(number + 1, len(lines)) if lines[n].strip() == "```")
            content = [line.removeprefix(fence["indent"]) for line in lines[number + 1 : end]]
            note = _NOTE.fullmatch(lines[number - 1]) if number else None
            text = "\n".join(content) + "\n"
            words = note["note"] if note else ""
            found.append(Block(page, number + 2, fence["language"], words, text))
            number = end
        number += 1
    return found


def prose_of(page: Path) -> str:
    """Returns the page without its fenced blocks."""
    return re.sub(r"(?ms)^ *```.*?^ *```$", "", page.read_text())


def links_of(page: Path) -> list[str]:
    """Returns the targets of links and pictures that lead into the repository."""
    targets = [found["target"] for found in _LINK.finditer(prose_of(page))]
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors_of(page: Path) -> set[str]:
    """Returns the anchors that GitHub gives to the headings of a page."""
    anchors = set[str]()
    for line in prose_of(page).splitlines():
        if heading := _HEADING.fullmatch(line):
            title = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading["title"]).lower()
            slug = re.sub(r"[^\w\- ]", "", title).replace(" ", "-")
            copies = sum(1 for each in anchors if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", each))
            anchors.add(f"{slug}-{copies}" if copies else slug)
    return anchors


def table_under(page: Path, header: str) -> list[list[str]]:
    """Returns the cells of all rows of the tables that have this header line."""
    rows, inside = [], False
    for line in page.read_text().splitlines():
        if line == header:
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|---"):
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows
