"""Links between the Markdown pages."""

import pytest

from tests.docs.pages import GUIDES, PAGES, ROOT, anchors_of, links_of


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_into_the_repository_leads_somewhere(page):
    dead = []
    for target in links_of(page):
        path, _, anchor = target.partition("#")
        file = page if not path else (page.parent / path).resolve()
        if not file.exists() or (anchor and anchor not in anchors_of(file)):
            dead.append(target)
    assert dead == []


def test_the_index_lists_every_page():
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / target).resolve() for target in links_of(index)}
    assert {page for page in GUIDES if page.parent == index.parent} - {index} <= listed


def test_every_picture_of_the_docs_is_shown():
    shown = {(page.parent / target).resolve() for page in GUIDES for target in links_of(page)}
    pictures = [*(ROOT / "docs").rglob("*.png"), *(ROOT / "docs").rglob("*.webp")]
    assert [picture for picture in pictures if picture not in shown] == []


def test_the_figures_are_small():
    figures = list((ROOT / "docs" / "figures").glob("*.png"))
    assert figures
    assert [figure for figure in figures if figure.stat().st_size > 150_000] == []
