"""Copying the database of a running embedded core."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from pathlib import Path

from ..errors import EmbeddedCoreError
from .files import DatabaseFile
from .schema import read_version


def back_up(
    database: str | os.PathLike[str], copy: str | os.PathLike[str], *, busy_timeout: float = 5.0
) -> None:
    """Copy a database, even one in use: every committed transaction, and no part of any other.

    The copy is a single file, private like the database, and appears whole or not at all.

    :param database: the file of an embedded core.
    :param copy: the file to make, in a folder that exists.
    :param busy_timeout: how long to wait for locks, s.
    :raises EmbeddedCoreError: there is no such database, or the copy exists already or cannot be written.
    """
    source, target = Path(database).absolute(), Path(copy).absolute()
    if not source.is_file():
        raise EmbeddedCoreError(f"there is no file {source}: name the database of an embedded core")
    if os.path.lexists(target):
        raise EmbeddedCoreError(f"{target} exists already: name a new file for the copy")
    file = DatabaseFile(str(source))
    try:
        # Beside the target, so that it can be renamed; empty, as VACUUM INTO wants it; and with mode 0600.
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(os.unlink, name)
            os.close(descriptor)
            _copy(file, name, busy_timeout)
            _flush_to_disk(name)
            os.replace(name, target)  # noqa: PTH105
            on_failure.pop_all()
    except sqlite3.Error as error:
        raise EmbeddedCoreError(
            f"{source} cannot be copied to {target} ({error}): see that it is the database of an embedded"
            " core and that there is room for the copy"
        ) from error
    except OSError as error:
        raise EmbeddedCoreError(
            f"{target} cannot be written ({error.strerror}): name a file in a writable folder"
        ) from error


def _copy(file: DatabaseFile, target: str, busy_timeout: float) -> None:
    with contextlib.closing(
        sqlite3.connect(file.uri, uri=True, timeout=busy_timeout, isolation_level=None)
    ) as connection:
        if not read_version(connection, str(file.path)):
            raise EmbeddedCoreError(f"{file.path} is empty: name the database of an embedded core")
        connection.execute("VACUUM INTO ?", (target,))


def _flush_to_disk(name: str) -> None:
    descriptor = os.open(name, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
