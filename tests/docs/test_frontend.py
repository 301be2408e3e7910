"""The page about frontend SDKs: its tests, versions and pictures exist and are up to date."""

from __future__ import annotations

import importlib.util
import json
import re
from types import ModuleType

import pytest
from support.documentation import DOCS, ROOT

TEXT = (DOCS / "frontend.md").read_text(encoding="utf-8")
BROWSER_TESTS = ROOT / "tests" / "browser"

#: The sections on the frontend in SuperTokens' guide to claim validators.
SECTIONS = {
    "Session claim interface",
    "Claim validator interface",
    "Adding or modifying a claim",
    "Adding a validator check globally",
    "Adding a validator check to a specific route",
    "Redirection",
    "Showing an access denied screen",
    "Setting an access denied screen",
    "Disabling the access denied screen",
    "In the session context",
}


@pytest.fixture
def screenshots() -> ModuleType:
    """Return the script that takes the pictures."""
    spec = importlib.util.spec_from_file_location("screenshots", DOCS / "screenshots.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_section_on_the_frontend_has_a_test_that_exists() -> None:
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| `(test_\w+\.py)::(test_\w+)` \|$", TEXT, re.MULTILINE)
    assert {section for section, _, _ in rows} == SECTIONS
    for _, module, test in rows:
        assert f"\ndef {test}(" in (BROWSER_TESTS / module).read_text(encoding="utf-8"), test


def test_the_versions_are_those_of_the_examples() -> None:
    stated = dict(re.findall(r"^\| `(supertokens-[\w-]+)` \| ([\d.]+) \|", TEXT, re.MULTILINE))
    used = {}
    for example in ("web", "react"):
        package = json.loads((ROOT / "examples" / example / "package.json").read_text(encoding="utf-8"))
        used.update({name: at for name, at in package["dependencies"].items() if "supertokens" in name})
    assert stated == used


def test_the_pictures_show_the_present_pages(screenshots: ModuleType) -> None:
    taken_from = json.loads(screenshots.SOURCES.read_text(encoding="utf-8"))
    for name, picture in screenshots.PICTURES.items():
        assert taken_from[name] == screenshots.digest_of_sources(picture.script), (
            f"run python docs/screenshots.py {name}"
        )


def test_the_pictures_are_few_and_small(screenshots: ModuleType) -> None:
    pictures = {path.stem: path for path in screenshots.FOLDER.glob("*.png")}
    assert set(pictures) == set(screenshots.PICTURES)
    assert set(re.findall(r"\]\(screenshots/([\w-]+)\.png\)", TEXT)) == set(pictures)
    assert max(path.stat().st_size for path in pictures.values()) < 60_000
