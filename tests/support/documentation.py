"""Pages of documentation and their code blocks, run as a reader would type them.

A test module of a page says ``page = page_fixture("websockets.md")`` and gets a fixture: a namespace in which
all Python blocks of the page have run, with sessions in memory, which is closed after the test.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask

from flask_stsession import STSession

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

Namespace = dict[str, Any]

#: In a namespace: every app that its blocks have made, also those whose name was given to a later one.
_APPS = "__apps__"

_FENCE = re.compile(
    r"^(?P<fence>`{3,})(?:\{code-block\}[ ]*)?(?P<language>[\w+-]+)\n"
    r"(?P<options>(?::\w[\w-]*:[^\n]*\n)*)\n*(?P<code>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A code block of a page.

    :param caption: the name of the file that the block is said to be, or empty.
    :param line: of the page on which the code begins, for tracebacks.
    """

    language: str
    caption: str
    code: str
    line: int


@dataclass(frozen=True)
class Page:
    """A page of documentation.

    :param path: the Markdown file.
    """

    path: Path

    @property
    def text(self) -> str:
        """The Markdown."""
        return self.path.read_text(encoding="utf-8")

    def blocks(self, language: str = "python") -> list[Block]:
        """Return the code blocks in a language, in order."""
        text = self.text
        return [
            Block(
                found["language"],
                _caption(found["options"]),
                found["code"],
                text.count("\n", 0, found.start("code")) + 1,
            )
            for found in _FENCE.finditer(text)
            if found["language"] == language
        ]

    def run(self, namespace: Namespace, *blocks: Block) -> Namespace:
        """Run blocks one after the other in one namespace, all Python blocks of the page if none are given.

        Apps that they make are in testing mode afterwards, so that sessions without a core of their own are
        kept in memory.
        """
        made: list[Flask] = namespace.setdefault(_APPS, [])
        for block in blocks or self.blocks():
            # Empty lines before the code give tracebacks the lines of the page.
            code = "\n" * (block.line - 1) + block.code
            exec(compile(code, str(self.path), "exec", dont_inherit=True), namespace)
            for value in namespace.values():
                if isinstance(value, Flask) and value not in made:
                    value.testing = True
                    made.append(value)
        return namespace

    @contextlib.contextmanager
    def running(self, *blocks: Block) -> Iterator[Namespace]:
        """Run blocks in a new namespace, and close the apps that they have made in the end."""
        namespace: Namespace = {"__name__": f"page_{self.path.stem.replace('-', '_')}"}
        try:
            yield self.run(namespace, *blocks)
        finally:
            for app in namespace.get(_APPS, []):
                extension = app.extensions.get("stsession")
                if isinstance(extension, STSession):
                    with app.app_context():
                        extension.close()


def page(name: str) -> Page:
    """Return a page of ``docs/``, by the name of its file."""
    return Page(DOCS / name)


def page_fixture(name: str) -> Callable[[], Iterator[Namespace]]:
    """Return a fixture: what the Python blocks of a page of ``docs/`` define."""

    @pytest.fixture
    def fixture() -> Iterator[Namespace]:
        with page(name).running() as namespace:
            yield namespace

    return fixture


def import_from_docs(name: str) -> ModuleType:
    """Return a Python module of ``docs/``, imported."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _caption(options: str) -> str:
    found = re.search(r"^:caption:[ ]*(.*)$", options, re.MULTILINE)
    return "" if found is None else found[1].strip("` ")
