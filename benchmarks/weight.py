"""How long imports take, and how much is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from .apps import BARE, CONTESTANTS, JWT_EXTENDED, OURS, SUPERTOKENS
from .report import Part, Row, times

#: What a user of each imports; for the reference, what flask-stsession stands on.
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
#: Comes with a virtual environment.
_TOOLS = frozenset({"pip", "setuptools", "wheel"})


def import_time(rounds: int) -> Part:
    """Import time against that of the dependencies alone.

    :param rounds: how often every contestant has its turn.
    """
    installed = [BARE.name, *(each.name for each in CONTESTANTS if each.version is not None)]
    seconds: dict[str, list[float]] = {name: [] for name in installed}
    with tempfile.TemporaryDirectory() as bytecode:
        for _ in range(rounds + 1):  # the first compiles everything, as an installation does
            for name in installed:
                seconds[name].append(_seconds_to_import(_IMPORTS[name], bytecode))
    typical = {name: median(values[1:]) for name, values in seconds.items()}
    ratio = median(
        mine / bare for mine, bare in zip(seconds[OURS.name][1:], seconds[BARE.name][1:], strict=True)
    )
    figures = {name: f"{value * 1e3:.0f} ms" for name, value in typical.items() if name != BARE.name}
    figures[OURS.name] += f" ({times(ratio, 2)})"
    reference = f"{typical[BARE.name] * 1e3:.0f} ms"
    row = Row(
        "import time (bare: flask-stsession's dependencies)", reference, figures, "1.15 times", ratio <= 1.15
    )
    return Part("import", [row])


def installed_size() -> Part:
    """Packages and size of fresh virtual environments with one contestant each."""
    sizes = {name: _install(requirement) for name, requirement in _REQUIREMENTS.items()}
    packages: Mapping[str, str] = {name: f"{count}, {size:.0f} MB" for name, (count, size) in sizes.items()}
    return Part("install", [Row("installed packages and their size, Flask included", "", packages)])


def _seconds_to_import(statement: str, bytecode: str) -> float:
    """Seconds of processor time.

    :param bytecode: the folder of compiled modules.
    """
    command = [sys.executable, "-c", _TIMED.format(statement)]
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def _install(requirement: str) -> tuple[int, float]:
    """Number of distributions and their size (MB) without compiled bytecode."""
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
