"""Fixtures for the tests of the frontend SDKs: a browser for a whole module, and sites for it to visit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.authority import Authority
from support.bundles import bundle, check_built
from support.chromium_browser import running_chromium
from support.example_modules import import_example
from support.example_visitor import Person
from support.sdk_site import SdkSite, Visitor
from support.served_core import ServedCore

HERE = Path(__file__).parent

#: Two sites, and a third one that has nothing to do with them.
WEBSITE, API, FOREIGN = "www.harbour.test", "api.crane.test", "www.pirate.test"
TO_THIS_MACHINE = "--host-resolver-rules=MAP * 127.0.0.1"

SiteFactory = Callable[..., SdkSite]
VisitorFactory = Callable[..., Visitor]
PersonFactory = Callable[..., Person]


@pytest.fixture(scope="session")
def sdk_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the SDKs, bundled."""
    return bundle(HERE / "sdk.js", tmp_path_factory.mktemp("sdk") / "sdk.js")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Yield a browser for all tests of a module, which has a new profile for each visitor.

    It resolves every host name to this machine.
    """
    with running_chromium(TO_THIS_MACHINE) as chromium:
        yield chromium


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module of ``examples/web``, imported afresh."""
    return import_example("web/app", monkeypatch)


@pytest.fixture
def make_site(example: ModuleType, served_core: ServedCore, sdk_script: Path) -> Iterator[SiteFactory]:
    """Return a factory of sites on this test's core; takes settings of the app as keywords."""
    sites: list[SdkSite] = []

    def make(**settings: Any) -> SdkSite:
        sites.append(SdkSite(example, served_core, sdk_script, **settings))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


@pytest.fixture
def site(make_site: SiteFactory) -> SdkSite:
    """Return a site on one origin, with nothing configured."""
    return make_site()


@pytest.fixture
def make_visitor(browser: Any) -> Iterator[VisitorFactory]:
    """Return a factory of visitors; takes a site, ``transfer``, ``sdk`` and options of the SDK."""
    visitors: list[Visitor] = []

    def make(site: SdkSite, **options: Any) -> Visitor:
        visitors.append(Visitor(browser, site, **options))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.close()


@pytest.fixture
def make_person(browser: Any, example: ModuleType) -> Iterator[PersonFactory]:
    """Return a factory of persons at the example's page; takes a site, and where to keep the session."""
    check_built(Path(str(example.__file__)).parent.name)
    persons: list[Person] = []

    def make(site: SdkSite, transfer: str | None = None, **context: Any) -> Person:
        persons.append(Person(browser, site, transfer, **context))
        return persons[-1]

    yield make
    for person in persons:
        person.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return a certificate authority."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def make_https_site(make_site: SiteFactory, authority: Authority) -> SiteFactory:
    """Return a factory of pages on one site with their API on another one; takes settings."""
    tls = authority.context_for(WEBSITE, API, FOREIGN)
    return lambda **settings: make_site(website_host=WEBSITE, api_host=API, tls=tls, **settings)
