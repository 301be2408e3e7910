"""How the package hangs together: read from its source, and from what importing it does."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import flask_stsession

ROOT = Path(flask_stsession.__file__).parent
PACKAGE = ROOT.name

#: From the ground up. A room imports from its own floor or from lower ones, and modules never in a circle.
FLOORS = {
    0: "errors constants signals concurrency",
    1: "tokens claims config embedded",
    2: "core",
    3: "sessions",
    4: "web",
    5: "arguments emailverification multitenancy userroles",
    6: "extension operations offline",
    7: "functions cli",
    8: "testing aws_lambda",
}
#: Nothing up to here knows of Flask.
LAST_WITHOUT_FLASK = 3
#: An island: it shares the names of the wire with the rest, and nothing else.
ISLAND = "embedded"

FLASK = {"flask", "flask_restful", "flask_restx", "flask_cors", "flask_smorest"}
MUTATORS = {"add", "append", "clear", "discard", "extend", "insert", "pop", "remove", "setdefault", "update"}


def name_of(path: Path) -> str:
    """The module's name below the package: ``core.http``; the package itself is ``__init__``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


TREES = {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py"))}
MODULES = [name for name in TREES if name != "__init__"]


def floor_of(module: str) -> int:
    """The floor of the room that a module is, or lies in; of ``core.http``, that of ``core``."""
    room = module.partition(".")[0]
    return next(floor for floor, rooms in FLOORS.items() if room in rooms.split())


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below, but those that only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if not is_type_checking(child):
            yield child
            yield from at_run_time(child)


def imported(name: str) -> set[str]:
    """What a module imports when it runs: ours as ``core.http``, others by their full name."""
    found: set[str] = set()
    parents = [PACKAGE, *name.split(".")[:-1]]
    for node in at_run_time(TREES[name]):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{module}.{alias.name}".removeprefix(f"{PACKAGE}.")
                found.add(inner if inner in TREES else module)
    return {each.removeprefix(f"{PACKAGE}.") for each in found}


def own(names: set[str]) -> set[str]:
    """Those of ours, packages as their ``__init__``."""
    named = {name if name in TREES else f"{name}.__init__" for name in names}
    return named & TREES.keys()


def packages(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_every_module_has_its_room() -> None:
    known = set(" ".join(FLOORS.values()).split())
    assert {name.partition(".")[0] for name in MODULES} <= known


def test_imports_go_down_the_floors() -> None:
    upwards = {
        f"{name} imports {other}"
        for name in MODULES
        for other in own(imported(name))
        if floor_of(other) > floor_of(name)
    }
    assert upwards == set()


def test_no_imports_go_in_a_circle() -> None:
    ordered = list(TopologicalSorter({name: own(imported(name)) for name in MODULES}).static_order())
    assert set(ordered) >= set(MODULES)


def test_the_lower_floors_do_not_know_flask() -> None:
    lower = [name for name in MODULES if floor_of(name) <= LAST_WITHOUT_FLASK]
    assert [name for name in lower if packages(imported(name)) & FLASK] == []


def test_the_embedded_core_shares_only_constants_with_the_rest() -> None:
    island = {name for name in MODULES if name.startswith(f"{ISLAND}.")}
    assert set().union(*(own(imported(name)) for name in island)) - island == {"constants"}


def test_only_where_the_core_is_located_and_started_is_the_embedded_one_known() -> None:
    users = {name for name in MODULES if not name.startswith(ISLAND) and f"{ISLAND}." in str(imported(name))}
    assert users <= {"core.in_process", "cli", "testing"}


def test_there_is_no_event_loop() -> None:
    loops = {"asyncio", "anyio", "trio", "nest_asyncio", "asgiref"}
    assert [name for name in MODULES if packages(imported(name)) & loops] == []


def test_no_function_imports() -> None:
    hidden = [
        f"{name}: {ast.unparse(inner)}"
        for name in MODULES
        for node in ast.walk(TREES[name])
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for inner in ast.walk(node)
        if isinstance(inner, (ast.Import, ast.ImportFrom))
    ]
    assert hidden == []


def test_no_module_keeps_state() -> None:
    keepers = {name: changed_globals(tree) for name, tree in TREES.items()}
    assert {name: changed for name, changed in keepers.items() if changed} == {}


def changed_globals(tree: ast.Module) -> set[str]:
    """Names of a module that its functions assign or change in place."""
    names = {
        target.id
        for node in tree.body
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    changed = {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}
    for function in ast.walk(tree):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        local = {
            node.id
            for node in ast.walk(function)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        } | {argument.arg for argument in ast.walk(function) if isinstance(argument, ast.arg)}
        for node in ast.walk(function):
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
                holder = node.value
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                holder = node.func.value if node.func.attr in MUTATORS else node.func
            else:
                continue
            if isinstance(holder, ast.Name) and holder.id in names - local:
                changed.add(holder.id)
    return changed


def public_definitions(
    body: list[ast.stmt], prefix: str = ""
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name[0] != "_":
            decorators = {ast.unparse(each) for each in node.decorator_list}
            # ``wraps`` brings the text of what it wraps.
            if not any(each == "overload" or each.startswith("wraps(") for each in decorators):
                yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node.body, f"{prefix}{node.name}.")


def says_something(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Does the documentation begin with a sentence?"""
    first = (ast.get_docstring(node) or "").partition("\n\n")[0].rstrip()
    return first.endswith((".", "?", "::", ";"))


def test_everything_public_is_documented_by_a_sentence() -> None:
    silent = [name for name, tree in TREES.items() if not says_something(tree)]
    for name, tree in TREES.items():
        silent += [
            f"{name}: {public}" for public, node in public_definitions(tree.body) if not says_something(node)
        ]
    assert silent == []


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "helpers", "common", "misc"}
    assert [name for name in MODULES if set(name.split(".")) & drawers] == []


# What the package exports


def type_checking_names() -> set[str]:
    blocks = [node for node in TREES["__init__"].body if is_type_checking(node)]
    return {
        alias.asname or alias.name
        for block in blocks
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_the_package_exports_the_same_names_to_everybody() -> None:
    assert type_checking_names() == set(flask_stsession.__all__)
    assert dir(flask_stsession) == sorted(flask_stsession.__all__)
    assert len(flask_stsession.__all__) == len(set(flask_stsession.__all__))
    for name in flask_stsession.__all__:
        assert getattr(flask_stsession, name) is not None


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError) as caught:
        flask_stsession.nothing  # noqa: B018
    assert str(caught.value) == "module 'flask_stsession' has no attribute 'nothing'"


def modules_after(statement: str) -> set[str]:
    """Which packages are imported once a new interpreter has run ``statement``."""
    code = f"{statement}\nimport sys\nprint(*sorted(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return packages(set(ran.stdout.split()))


def test_the_lower_floors_import_without_flask() -> None:
    lower = [
        f"import {PACKAGE}.{name.removesuffix('.__init__')}"
        for name in MODULES
        if floor_of(name) <= LAST_WITHOUT_FLASK and not name.endswith("__main__")
    ]
    loaded = modules_after("\n".join([f"import {PACKAGE}, {PACKAGE}.claims", *lower]))
    assert not loaded & (FLASK | {"jinja2", "asyncio"})


def test_the_whole_package_brings_no_event_loop_of_its_own() -> None:
    brought = modules_after(f"from {PACKAGE} import *") - modules_after(
        "import flask, requests, cryptography, jwt"
    )
    assert not brought & {"asyncio", "anyio", "trio", "gevent", "asgiref"}
