"""README and docs: their links lead somewhere, and each page is reached from README."""

import re
from pathlib import Path

import pytest
from conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")


def anchors(page: Path) -> set[str]:
    """Return what GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    lower = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {"#" + heading.strip().replace(" ", "-") for heading in lower}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links(page: Path) -> None:
    found = [link for link in LINK.findall(page.read_text()) if "://" not in link[0]]
    for name, anchor in found:
        target = page.parent / name if name else page
        assert target.exists(), name
        if anchor:
            assert anchor in anchors(target), (name, anchor)


def test_the_readme_is_two_screens_and_a_half() -> None:
    """Of 52 lines each; a project's own is two: tests/template/test_render.py."""
    assert len(PAGES[0].read_text().splitlines()) <= 130


def test_each_page_is_listed() -> None:
    readme = PAGES[0].read_text()
    assert [page.name for page in PAGES[2:] if f"](docs/{page.name})" not in readme] == []


def test_no_page_repeats_another() -> None:
    """None has twelve words in a row that another one has, but in commands and generated tables."""
    first: dict[tuple[str, ...], str] = {}
    for page in PAGES:
        text = re.sub(
            "<!-- written by make docs: .+?<!-- end -->|```.+?```", "", page.read_text(), flags=re.S
        )
        words = (
            [] if text.startswith("<!-- Written") else re.findall(r"[\w@`./{}=-]+", text.lower())
        )
        for start in range(len(words) - 11):
            of = first.setdefault(tuple(words[start : start + 12]), page.name)
            assert of == page.name, " ".join(words[start : start + 12])
