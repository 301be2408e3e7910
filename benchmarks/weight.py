"""Import time, installed size, and memory per cached token."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Mapping
from pathlib import Path

from .apps import BARE, CONTESTANTS, JWT_EXTENDED, OURS, SUPERTOKENS
from .core import Core
from .report import BESIDE_PEERS, Part, beside_peers
from .timing import lowest
from .wsgi import by_header, environ_of, send

#: What a user of each imports; for the reference, the dependencies of flask-stsession.
_IMPORTS = {
    BARE.name: "import flask, jwt, cryptography.hazmat.primitives.asymmetric.rsa, requests, cachetools",
    OURS.name: "import flask_stsession; flask_stsession.STSession; flask_stsession.verify_session",
    SUPERTOKENS.name: (
        "import supertokens_python, supertokens_python.framework.flask, supertokens_python.recipe.session, "
        "supertokens_python.recipe.session.framework.flask"
    ),
    JWT_EXTENDED.name: "import flask_jwt_extended",
}
_TIMED = "import time; started = time.process_time(); {}; print(time.process_time() - started)"
_REQUIREMENTS = {
    OURS.name: ".",
    SUPERTOKENS.name: "supertokens-python[flask]",
    JWT_EXTENDED.name: JWT_EXTENDED.name,
}
#: Part of every virtual environment.
_TOOLS = frozenset({"pip", "setuptools", "wheel"})
_CACHED = 400


def import_time(rounds: int) -> Part:
    """Measure import time against that of the dependencies alone.

    :param rounds: how often every contestant has its turn.
    """
    installed = [BARE.name, *(each.name for each in CONTESTANTS if each.version is not None)]
    seconds: dict[str, list[float]] = {name: [] for name in installed}
    with tempfile.TemporaryDirectory() as bytecode:
        for _ in range(rounds + 1):  # the first compiles everything, as an installation does
            for name in installed:
                seconds[name].append(_seconds_to_import(_IMPORTS[name], bytecode))
    least = {name: lowest(values[1:]) for name, values in seconds.items()}
    ratio = least[OURS.name] / least[BARE.name]
    figures = {name: f"{value * 1e3:.0f} ms" for name, value in least.items() if name != BARE.name}
    figures[OURS.name] += f" ({ratio:.2f} times)"
    reference = f"{least[BARE.name] * 1e3:.0f} ms"
    row = beside_peers("import (bare: our dependencies)", reference, figures, "1.15 times", ratio <= 1.15)
    return Part(BESIDE_PEERS, [row])


def installed_size() -> Part:
    """Measure fresh virtual environments with one contestant each."""
    sizes = {name: _install(requirement) for name, requirement in _REQUIREMENTS.items()}
    packages: Mapping[str, str] = {name: f"{count}, {size:.0f} MB" for name, (count, size) in sizes.items()}
    return Part(BESIDE_PEERS, [beside_peers("installed packages and their size, with Flask", "", packages)])


def memory_per_token(core: Core) -> Part:
    """Measure the memory that a verified token takes in the cache."""
    app = OURS.make(core.url, "")
    try:
        environs = [environ_of("/user", by_header(core.create_session().access)) for _ in range(_CACHED + 1)]
        send(app, environs.pop())  # fetches the keys
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        for environ in environs:
            send(app, environ)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    finally:
        app.extensions["stsession"].close()
    each = (after - before) / _CACHED / 1000
    row = beside_peers("memory per cached token", "", {OURS.name: f"{each:.2f} KB"}, "2.5 KB", each < 2.5)
    return Part(BESIDE_PEERS, [row])


def _seconds_to_import(statement: str, bytecode: str) -> float:
    """Return the processor time of an import in s.

    :param bytecode: the folder of compiled modules.
    """
    command = [sys.executable, "-c", _TIMED.format(statement)]
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def _install(requirement: str) -> tuple[int, float]:
    """Install, and return the number of distributions and their size in MB, without bytecode."""
    root = Path(__file__).parent.parent
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = str(Path(folder, "bin", "python"))
        pip = [python, "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", "--no-compile", requirement], check=True, cwd=root)
        listed = subprocess.run(
            [*pip, "list", "--format=freeze"], check=True, capture_output=True, text=True
        ).stdout
        names = {line.partition("==")[0].lower() for line in listed.splitlines() if line}
        site = next(Path(folder, "lib").glob("python*/site-packages"))
        files = (
            path
            for path in site.rglob("*")
            if path.is_file()
            and "__pycache__" not in path.parts
            and not path.relative_to(site).parts[0].startswith(("pip", "setuptools", "_distutils", "pkg_res"))
        )
        return len(names - _TOOLS), sum(path.stat().st_size for path in files) / 1e6
