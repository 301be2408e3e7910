"""Packaging of flask-stsession."""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="flask-stsession",
    version="0.1.0.dev0",
    description="SuperTokens sessions for Flask: verified in microseconds, with or without a core",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
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
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: Web Environment",
        "Framework :: Flask",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Topic :: Internet :: WWW/HTTP :: Session",
        "Typing :: Typed",
    ],
)
