"""Scripts for pages, bundled by esbuild with the packages that ``npm install`` puts into an example."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from support.example_modules import EXAMPLES
from support.required import missing


def bundle(source: Path, target: Path, example: str = "web") -> Path:
    """Bundle a script with the packages of an example.

    :param target: where to write it.
    """
    packages = EXAMPLES / example / "node_modules"
    esbuild = packages / ".bin" / "esbuild"
    if shutil.which("node") is None:
        missing("there is no node to bundle scripts for the browser: apt-get install nodejs npm")
    if not esbuild.exists():
        missing(f"the packages of examples/{example} are missing: npm install --prefix examples/{example}")
    subprocess.run(
        [esbuild, source, "--bundle", f"--outfile={target}", "--log-level=warning"],
        env={**os.environ, "NODE_PATH": str(packages)},
        check=True,
    )
    return target


def check_built(example: str) -> None:
    """Require that the page of an example was built from its present sources."""
    folder = EXAMPLES / example
    built = folder / "dist" / "app.js"
    newest = max(source.stat().st_mtime for source in (folder / "src").glob("*.js*"))
    if not built.exists() or built.stat().st_mtime < newest:
        missing(f"examples/{example} is not built; in that folder, run: npm install && npm run build")
