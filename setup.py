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
    install_requires=[
        # Brings werkzeug 3.1, the first to set partitioned cookies; flask 3.1.0 has an advisory.
        "flask>=3.1.1",
        "pyjwt>=2.8",
        "cryptography>=41",
        "requests>=2.31",
        "cachetools>=5.3",
    ],
    extras_require={
        "domains": ["publicsuffixlist>=1.0"],
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
