"""Packaging of flask-stsession."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
REPOSITORY = "https://github.com/flask-stsession/flask-stsession"
DOCUMENTATION = "https://flask-stsession.readthedocs.io/en/latest/"


def version() -> str:
    """Return ``__version__`` of the package, which cannot be imported before its dependencies are there."""
    source = (HERE / "flask_stsession" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    assert found is not None
    return found[1]


setup(
    name="flask-stsession",
    version=version(),
    description="SuperTokens sessions for Flask: verified in microseconds, with or without a core",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The flask-stsession maintainers",
    url=REPOSITORY,
    project_urls={
        "Documentation": DOCUMENTATION,
        "Source": REPOSITORY,
        "Changes": f"{REPOSITORY}/blob/main/CHANGELOG.md",
        "Issues": f"{REPOSITORY}/issues",
    },
    keywords=["flask", "supertokens", "session", "authentication", "jwt", "refresh token"],
    license="Apache-2.0",
    license_files=["LICENSE"],
    packages=find_packages(include=["flask_stsession", "flask_stsession.*"]),
    package_data={"flask_stsession": ["py.typed", "web/static/*.js"]},
    python_requires=">=3.10",
    # The lowest versions without a known advisory in what is used here; tested by .ci/minimums.
    install_requires=[
        # Brings Werkzeug 3.1, the first to set partitioned cookies. Flask 3.1.0 signs sessions with the wrong
        # one of several keys. Later advisories on Flask are about its own session, and those on Werkzeug
        # about file names on Windows: nothing that this package uses.
        "flask>=3.1.1",
        # Earlier ones accept unknown "crit" headers.
        "pyjwt>=2.12",
        # Earlier ones bundle an OpenSSL with advisories, or read beyond some buffers.
        "cryptography>=46.0.7",
        # Earlier ones may send the credentials of a .netrc to another host.
        "requests>=2.32.4",
        "cachetools>=5.3",
    ],
    extras_require={
        # The list in it is of that day; older ones do not know the newer suffixes.
        "domains": ["publicsuffixlist>=1.0.2.20240827"],
    },
    entry_points={
        "flask.commands": ["stsession=flask_stsession.cli:stsession_group"],
        "pytest11": ["stsession=flask_stsession.pytest_plugin"],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: Web Environment",
        "Framework :: Flask",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Internet :: WWW/HTTP :: Session",
        "Typing :: Typed",
    ],
)
