"""What the pages link to is there, and no picture lies about unused."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def links(page):
    """Targets of a page's relative links, without anchors."""
    found = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    return [(page.parent / target).resolve() for target in found if "://" not in target]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert [str(target) for target in links(page) if not target.exists()] == []


def test_every_figure_is_shown_and_small():
    shown = {target for page in PAGES for target in links(page) if target.suffix == ".png"}
    assert shown == set((ROOT / "docs" / "figures").glob("*.png"))
    assert all(figure.stat().st_size < 300_000 for figure in shown)
