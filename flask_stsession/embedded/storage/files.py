"""The files of a database: private to their owner, and watched while they are in use."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ..errors import DatabaseLostError, EmbeddedCoreError

logger: logging.Logger = logging.getLogger("flask_stsession.embedded")

IN_MEMORY: Final = ":memory:"
_PRIVATE: Final = 0o600
_FOR_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class DatabaseFile:
    """A database's main file, with the files that SQLite keeps beside it.

    They hold private keys, so this user must own all of them, and nobody else may access them.

    An existing file is never opened here: a process that closes any descriptor of a file loses all its POSIX
    locks on that file (fcntl(2)), those of its SQLite connections included.

    :param name: the path; the file and its folder are created if they do not exist.
    :raises EmbeddedCoreError: the file cannot be created, or must not be used.
    """

    def __init__(self, name: str) -> None:
        #: Absolute but not resolved, so that a change of a symbolic link is noticed.
        self.path: Path = Path(name).absolute()
        is_misspelled = ":" in name and name.strip(":").lower() == "memory"
        if not name or is_misspelled or self.path.is_dir():
            raise EmbeddedCoreError(
                f"{name!r} is not a file: name a file for the embedded core's database, or {IN_MEMORY}"
            )
        with self._usable():
            # SQLite keeps its other files beside the target of a link.
            self._target = _follow_own_link(self.path)
            self._log, self._log_index = self._beside("-wal"), self._beside("-shm")
            _make(self._target)
            self._found = frozenset(filter(_is_there, self._all()))
        self._opened: dict[Path, tuple[int, int]] = {}
        self._confirmed: tuple[int, int] | None = None

    @property
    def uri(self) -> str:
        """The URI with which SQLite opens the file, but never creates it."""
        return self._target.as_uri() + "?mode=rw"

    def make_private(self) -> None:
        """Make the files inaccessible to other users. Call this only once SQLite has identified the database.

        :raises EmbeddedCoreError: other users would still have access.
        """
        with self._usable():
            for path in self._all():
                _make_private(path, was_there=path in self._found)

    def note_opened(self) -> None:
        """Remember the files of a connection that was just opened."""
        for path in (self.path, self._log, self._log_index):
            found = path.stat()
            self._opened.setdefault(path, (found.st_dev, found.st_ino))

    def note_all_closed(self) -> None:
        """Forget the log: SQLite deletes it when the last connection closes, and creates a new one later."""
        for path in (self._log, self._log_index):
            self._opened.pop(path, None)

    def check(self, is_same_database: Callable[[], bool]) -> None:
        """Check that the files are the ones that connections have opened.

        :param is_same_database: called if the main file has been written to since the last check: by a
            checkpoint of any process, or because another database was copied over it.
        :raises DatabaseLostError: one of them was deleted, replaced or overwritten.
        """
        for path, opened in tuple(self._opened.items()):
            try:
                found = path.stat()
            except OSError as error:
                gone = isinstance(error, (FileNotFoundError, NotADirectoryError))
                raise lost(path, "was deleted" if gone else f"is out of reach ({error.strerror})") from error
            if (found.st_dev, found.st_ino) != opened:
                raise lost(path, "was replaced")
            written = (found.st_mtime_ns, found.st_size)
            if path == self.path and written != self._confirmed:
                if not is_same_database():
                    raise lost(path, "was overwritten with another database")
                self._confirmed = written

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise EmbeddedCoreError(
                f"the embedded core's database {self.path} cannot be created or written ({reason}):"
                " make its folder writable for this user, or name another file"
            ) from error

    def _all(self) -> tuple[Path, ...]:
        return self._target, self._log, self._log_index, self._beside("-journal")

    def _beside(self, suffix: str) -> Path:
        return self._target.with_name(self._target.name + suffix)


def lost(path: Path, what: str) -> DatabaseLostError:
    """Return the error for a file that is no longer the one in use."""
    return DatabaseLostError(
        f"the file {path} of the embedded core's database {what} while this process was using it:"
        " put back the file that was there, or restart this process to use what is there now"
    )


def _follow_own_link(path: Path) -> Path:
    """Return the target of a symbolic link.

    :raises EmbeddedCoreError: the link is another user's, who could point it anywhere.
    """
    if not path.is_symlink():
        return path
    _refuse_foreign_owner(path, path.lstat().st_uid)
    return path.resolve()


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        # O_EXCL opens no existing file and follows no link. SQLite gives the files beside it the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _PRIVATE))


def _is_there(path: Path) -> bool:
    """Return whether the file exists.

    :raises EmbeddedCoreError: it exists, but must not be used.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    _refuse_irregular(path, found.st_mode)
    _refuse_foreign_owner(path, found.st_uid)
    return True


def _make_private(path: Path, *, was_there: bool) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    _refuse_irregular(path, found.st_mode)  # again: somebody may have put a link there since
    if os.name != "posix" or not found.st_mode & _FOR_OTHERS:
        return
    path.chmod(_PRIVATE)
    if path.lstat().st_mode & _FOR_OTHERS:
        raise EmbeddedCoreError(
            f"{path} is open to other users, and its file system keeps no permissions: name a file on"
            " another file system for the embedded core's database"
        )
    if not (was_there and found.st_size):  # it held nothing to read
        return
    logger.warning(
        "%s was open to other users (mode %04o) and has been made private. It holds the keys that sign"
        " sessions: if somebody may have read them, start with a new file.",
        path,
        stat.S_IMODE(found.st_mode),
    )


def _refuse_irregular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise EmbeddedCoreError(
            f"{path} is not a regular file: move it away, or name another file for the embedded core's"
            " database"
        )


def _refuse_foreign_owner(path: Path, owner: int) -> None:
    if os.name != "posix":  # Windows has no numeric owners
        return
    user = os.geteuid()
    if owner == user:
        return
    if user:
        raise EmbeddedCoreError(
            f"{path} belongs to another user (id {owner}, this process runs as {user}): change its owner,"
            " run this process as its owner, or name another file"
        )
    logger.warning(
        "%s belongs to another user (id %d) and this process runs as root. It is used all the same, as it may"
        " lie on a mounted volume; better run this process as its owner.",
        path,
        owner,
    )
