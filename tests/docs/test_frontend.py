"""The page about frontend SDKs: its tests, versions and pictures exist and are up to date."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from types import ModuleType

import pytest
from support.answers import cookies_of
from support.app_factory import AppFactory
from support.documentation import DOCS, ROOT, page
from support.required import missing

FRONTEND = page("frontend.md")
TEXT = FRONTEND.text
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


#: In the place of the modules that the page imports; prints what the SDK is told.
SDK = """
const Session = { init: (options) => options };
const SuperTokens = { init: (options) => console.log(JSON.stringify(options)) };
"""


def test_the_sdk_is_set_up_for_an_app_as_it_is_by_default(make_app: AppFactory) -> None:
    node = shutil.which("node")
    if node is None:
        missing("node is missing; .ci/run installs it")
    (block,) = FRONTEND.blocks("js")
    imported = re.findall(r'^import (\w+) from "([\w-]+)', block.code, re.MULTILINE)
    assert imported == [("SuperTokens", "supertokens-web-js"), ("Session", "supertokens-web-js")]
    script = SDK + re.sub("^import .*$", "", block.code, flags=re.MULTILINE)
    ran = subprocess.run([node, "-e", script], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    api, (recipe,) = told["appInfo"], told["recipeList"]
    client = make_app(api_domain=api["apiDomain"]).test_client()
    mode = {"st-auth-mode": recipe["tokenTransferMethod"]}
    assert cookies_of(client.post("/login", base_url=api["apiDomain"], headers=mode))
    refresh = client.post(f"{api['apiBasePath']}/session/refresh", base_url=api["apiDomain"])
    assert refresh.status_code == 200


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
