"""All pages: whatever Python they show is run by a test of theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.documentation import DOCS, Page

PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_a_page_with_python_has_a_test_module_of_its_name(path: Path) -> None:
    name = f"test_{path.stem.replace('-', '_')}.py"
    folder = Path(__file__).parent / str(path.relative_to(DOCS).parent).replace("-", "_")
    if Page(path).blocks("python"):
        assert (folder / name).exists()
        assert path.name in (folder / name).read_text(encoding="utf-8")
