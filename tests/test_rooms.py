"""The import graph of the package, read from its source, and what importing the package loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

import flask_stsession
from flask_stsession import aws_lambda, claims, embedded

ROOT = Path(flask_stsession.__file__).parent
TESTS = Path(__file__).parent
PACKAGE = ROOT.name

#: From the ground up. A room (a folder, or a module beside the folders) imports from its floor or lower ones.
FLOORS = {
    0: "errors constants messages signals concurrency callables",
    1: "tokens claims config embedded",
    2: "core",
    3: "sessions",
    4: "web",
    5: "arguments emailverification multitenancy usermetadata userroles",
    6: "extension",
    7: "functions cli",
    8: "testing aws_lambda",
    9: "pytest_plugin",
}
#: Nothing up to this floor knows Flask.
LAST_WITHOUT_FLASK = 3
#: An island: it shares the names of the wire with the rest, and nothing else.
ISLAND = "embedded"

FLASK = {"flask", "flask_restful", "flask_restx", "flask_cors", "flask_smorest"}
MUTATORS = {"add", "append", "clear", "discard", "extend", "insert", "pop", "remove", "setdefault", "update"}


def name_of(path: Path) -> str:
    """Return a module's name below the package: ``core.http``; the package itself is ``__init__``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


TREES = {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py"))}
MODULES = [name for name in TREES if name != "__init__"]


def floor_of(module: str) -> int:
    """Return the floor of a module's room; of ``core.http``, the floor of ``core``."""
    room = module.partition(".")[0]
    return next(floor for floor, rooms in FLOORS.items() if room in rooms.split())


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes below, except those that only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if not is_type_checking(child):
            yield child
            yield from at_run_time(child)


def imported(name: str, nodes: Iterable[ast.AST] | None = None) -> set[str]:
    """Return what a module imports when it runs: ours as ``core.http``, others by their full name.

    :param nodes: of the module, to look at these instead of all that run.
    """
    found: set[str] = set()
    parents = [PACKAGE, *name.split(".")[:-1]]
    for node in at_run_time(TREES[name]) if nodes is None else nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{module}.{alias.name}".removeprefix(f"{PACKAGE}.")
                found.add(inner if inner in TREES or f"{inner}.__init__" in TREES else module)
    return {each.removeprefix(f"{PACKAGE}.") for each in found}


def own(names: set[str]) -> set[str]:
    """Return those of ours, packages as their ``__init__``."""
    named = {name if name in TREES else f"{name}.__init__" for name in names}
    return named & TREES.keys()


def packages(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


# The import graph: what only type checkers import counts as well

Arrow = tuple[str, str]

ARROWS: set[Arrow] = {
    (name, other) for name in MODULES for other in own(imported(name, ast.walk(TREES[name]))) if other != name
}


def circle_in(arrows: Iterable[Arrow]) -> list[str]:
    """Return the nodes of one circle, or nothing if there is none."""
    graph: dict[str, set[str]] = {}
    for start, end in arrows:
        graph.setdefault(start, set()).add(end)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


def arrows_between_rooms(arrows: Iterable[Arrow], house: str = "") -> set[Arrow]:
    """Return the arrows between the rooms of a house: its folders, and the modules that lie beside them.

    :param house: a folder with rooms of its own, ``embedded.``; by default the package.
    """
    inside = [
        (start.removeprefix(house).partition(".")[0], end.removeprefix(house).partition(".")[0])
        for start, end in arrows
        if start.startswith(house) and end.startswith(house)
    ]
    return {(start, end) for start, end in inside if start != end}


def faults(arrows: set[Arrow]) -> list[str]:
    """Return what is wrong with an import graph."""
    houses = {""} | {f"{name.rpartition('.')[0]}." for name in MODULES if "." in name}
    found = [f"{start} imports {end}, upwards" for start, end in arrows if floor_of(end) > floor_of(start)]
    circles = [
        circle_in(arrows),
        *(circle_in(arrows_between_rooms(arrows, house)) for house in sorted(houses)),
    ]
    return sorted(found) + [" <- ".join(circle) for circle in circles if circle]


def test_every_module_has_a_floor() -> None:
    known = set(" ".join(FLOORS.values()).split())
    assert {name.partition(".")[0] for name in MODULES} <= known


def test_imports_point_downwards_and_form_no_cycle() -> None:
    assert faults(ARROWS) == []


@pytest.mark.parametrize(
    ("arrow", "fault"),
    [
        (("errors", "constants"), None),
        (("constants", "web.verify"), "constants imports web.verify, upwards"),
        (("claims.base", "claims.builtin"), "claims.base"),
        (("embedded.storage.store", "embedded.recipes.sessions"), "recipes"),
    ],
)
def test_an_upward_or_circular_import_is_noticed(arrow: Arrow, fault: str | None) -> None:
    found = faults(ARROWS | {arrow})
    assert found == [] if fault is None else any(fault in each for each in found)


def test_every_module_has_its_test_file_at_the_first_guess() -> None:
    def is_tested(name: str) -> bool:
        room, _, module = name.rpartition(".")
        return (TESTS / room.replace(".", "/") / f"test_{module}.py").exists()

    untested = {name for name in MODULES if not name.endswith("__") and not is_tested(name)}
    assert untested == set()


def test_the_lower_floors_do_not_know_flask() -> None:
    lower = [name for name in MODULES if floor_of(name) <= LAST_WITHOUT_FLASK]
    assert [name for name in lower if packages(imported(name)) & FLASK] == []


def test_the_embedded_core_shares_only_constants_with_the_rest() -> None:
    island = {name for name in MODULES if name.startswith(f"{ISLAND}.")}
    assert set().union(*(own(imported(name)) for name in island)) - island == {"constants"}


def test_only_where_the_core_is_located_and_started_is_the_embedded_one_known() -> None:
    users = {name for name in MODULES if not name.startswith(ISLAND) and f"{ISLAND}." in str(imported(name))}
    assert users <= {"core.in_process", "cli.core", "testing"}


def test_there_is_no_event_loop() -> None:
    loops = {"asyncio", "anyio", "trio", "nest_asyncio", "asgiref"}
    assert [name for name in MODULES if packages(imported(name)) & loops] == []


def test_no_function_imports() -> None:
    hidden = [
        f"{name}: {ast.unparse(inner)}"
        for name in MODULES
        if name != "pytest_plugin"  # every run of pytest loads it, whatever is tested
        for node in ast.walk(TREES[name])
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for inner in ast.walk(node)
        if isinstance(inner, (ast.Import, ast.ImportFrom))
        or (isinstance(inner, ast.Call) and ast.unparse(inner.func).endswith("import_module"))
    ]
    packages = [name for name in TREES if name.endswith(".__init__") and "_HOMES" in ast.unparse(TREES[name])]
    allowed = {f"{name}: import_module(f'.{{module}}', __name__)" for name in packages}
    # An optional extra, in the one function that needs it.
    allowed.add("config.domains: import_module('publicsuffixlist')")
    # What only messages need takes as long to import as a dozen of our modules.
    allowed |= {"messages: import_module('difflib')", "messages: import_module('shlex')"}
    # What only pools of threads need, likewise.
    allowed.add("concurrency: import_module('concurrent.futures')")
    assert set(hidden) <= allowed


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


def test_no_module_has_a_catch_all_name() -> None:
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


@pytest.mark.parametrize("package", [claims, embedded, aws_lambda])
def test_a_package_lists_its_names_before_they_are_imported(package: Any) -> None:
    assert dir(package) == package.__all__ == sorted(package.__all__)
    assert all(getattr(package, name) is not None for name in package.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
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
