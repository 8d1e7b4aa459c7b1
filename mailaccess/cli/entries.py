"""
Lines of a password file, changed in place: all of the change is there, or none of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator

from mailaccess.auth.passwdlines import fields_of

from .command import Failed

_MODE = 0o600
_NEVER = 0o007
"""Bits that a file with passwords does not get: others may not read it."""


def stored_password(path: str, name: str) -> str | None:
    """
    What the file has for a user; None if it has no line for them.
    """
    for line in _lines(path):
        if _is_for(line, name):
            return fields_of(line.rstrip("\n"))[1] if ":" in line else ""
    return None


def update(path: str, name: str, stored: str) -> bool:
    """
    Set a user's password and leave the rest of the line and of the file alone; a new user gets a
    line at the end. Returns whether there was a line.

    The file keeps its owner and mode, but others can never read it; a new one is for its owner
    only.
    """
    directory = os.path.dirname(os.path.abspath(path))
    with _locked(directory):
        lines = _lines(path) if os.path.exists(path) else []
        found = False
        for number, line in enumerate(lines):
            if _is_for(line, name):
                parts = fields_of(line.rstrip("\n"))
                lines[number] = ":".join([parts[0], stored, *parts[2:]]) + "\n"
                found = True
        if not found:
            if lines and not lines[-1].endswith("\n"):
                lines[-1] += "\n"
            lines.append(f"{name}:{stored}::::::\n")
        _replace(path, directory, "".join(lines))
    return found


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            return file.readlines()
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}") from None


def _is_for(line: str, name: str) -> bool:
    return not line.startswith("#") and line.partition(":")[0].strip() == name


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[None]:
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise Failed(f"{directory}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(path: str, directory: str, text: str) -> None:
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".users-", dir=directory)
    except OSError as error:
        raise Failed(f"{directory}: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            _take_after(path, file.fileno())
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _take_after(path: str, descriptor: int) -> None:
    try:
        before = os.stat(path)
    except FileNotFoundError:
        os.fchmod(descriptor, _MODE)
        return
    if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
        os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, before.st_mode & 0o777 & ~_NEVER)
