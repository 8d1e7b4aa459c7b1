"""
Files that are read again while the server runs, and whether the user of C{[server]} may read them.

Root can read them all, so a start and a look by root say nothing of that; the first renewal would.
Answered from modes, owners and groups, without becoming anybody. Files and directories with access
lists beyond their mode count as readable.
"""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator

import attrs

from .certificates import named_files
from .ldapsettings import LDAPSettings
from .process import MayNotRun, ids_of
from .settings import ServerSettings, Settings
from .toml_lines import Path

MOST_LINKS = 40
"""Followed on the way to one file, as Linux does."""

_ACCESS_LIST = "system.posix_acl_access"


@attrs.frozen
class Reader:
    """
    Whom the server becomes.

    @ivar groups: numbers of all its groups
    @ivar group: name of the first one, for people
    """

    user: str
    uid: int
    groups: frozenset[int]
    group: str

    def may(self, found: os.stat_result, wanted: int) -> bool:
        """
        Whether the mode of something lets it through.

        @param wanted: bits as for others: 4 to read, 1 to search
        """
        if found.st_uid == self.uid:
            return found.st_mode >> 6 & wanted == wanted
        if found.st_gid in self.groups:
            return found.st_mode >> 3 & wanted == wanted
        return found.st_mode & wanted == wanted


def reader_of(server: ServerSettings) -> Reader | None:
    """
    None if the server stays who it is, or would become somebody who is not there.
    """
    if not server.user:
        return None
    try:
        uid, gid = ids_of(server)
    except MayNotRun:
        return None
    try:
        group = grp.getgrgid(gid).gr_name
    except KeyError:
        group = str(gid)
    return Reader(server.user, uid, frozenset(os.getgrouplist(server.user, gid)), group)


def out_of_reach(settings: Settings) -> Iterator[tuple[Path, str]]:
    """
    The option that names a file which could not be read again, and C{what is wrong; what to do}.
    Blocks on the disk. Says nothing of files that the caller cannot look at, either.
    """
    reader = reader_of(settings.server)
    if reader is None:
        return
    told: set[str] = set()
    for option, path, alone in _files(settings):
        text = _hindrance(reader, path, alone=alone)
        way_out = text.partition("; ")[2]
        # One directory is in the way to many files.
        if text and way_out not in told:
            told.add(way_out)
            yield option, text


def _files(settings: Settings) -> Iterator[tuple[Path, str, bool]]:
    """
    Option, path, and whether only the owner may read that file.
    """
    tls = settings.tls
    for name in ("certificate", "key", "names", "client_ca"):
        if getattr(tls, name):
            yield ("tls", name), getattr(tls, name), False
    for _, path in named_files(tls.names, []):
        yield ("tls", "names"), path, False
    for position, each in enumerate(settings.users):
        here: Path = ("users", position)
        if not isinstance(each, LDAPSettings):
            if each.path:
                yield (*here, "path"), each.path, False
            continue
        for name in ("ca", "certificate", "key", "bind_password_file"):
            if getattr(each, name):
                yield (*here, name), getattr(each, name), name == "bind_password_file"
    for position, space in enumerate(settings.namespace):
        if space.rights:
            yield ("namespace", position, "rights"), space.rights, False
    for name in ("token_keys", "token_client_secret_file", "token_ca"):
        path = getattr(settings.login, name)
        if path.startswith("/"):
            yield ("login", name), path, name == "token_client_secret_file"


def _hindrance(reader: Reader, path: str, *, alone: bool) -> str:
    if not os.access(path, os.R_OK):
        return ""
    try:
        directories, last = _way(path)
        for each in directories:
            found = os.stat(each)
            if not reader.may(found, 1) and not _has_access_list(each):
                way_out = _way_out(reader, found, each, "x")
                text = f"{path} cannot be read again by {reader.user}, who may not search {each}"
                return f"{text}; {way_out}"
        found = os.stat(last)
        folder = stat.S_ISDIR(found.st_mode)
        if reader.may(found, 5 if folder else 4) or _has_access_list(last):
            return ""
    except OSError:
        return ""
    way_out = f"chown {reader.user} {last}"
    if not alone:
        way_out = _way_out(reader, found, last, "rx" if folder else "r")
    return f"{path} cannot be read again by {reader.user}, whom the server becomes; {way_out}"


def _way_out(reader: Reader, found: os.stat_result, path: str, wanted: str) -> str:
    if found.st_uid == reader.uid:
        return f"chmod u+{wanted} {path}"
    mode = "640" if wanted == "r" else f"g+{wanted}"
    return f"chgrp {reader.group} {path}; chmod {mode} {path}"


def _way(path: str) -> tuple[list[str], str]:
    """
    The directories that are searched on the way to a file, links followed, and where it is.
    """
    rest = os.path.join(os.getcwd(), path).split("/")[::-1]
    here, links = "/", 0
    searched: dict[str, None] = {}
    while rest:
        step = rest.pop()
        if step in ("", "."):
            continue
        searched[here] = None
        if step == "..":
            here = os.path.dirname(here)
            continue
        there = os.path.join(here, step)
        if links < MOST_LINKS and os.path.islink(there):
            links += 1
            target = os.readlink(there)
            rest += target.split("/")[::-1]
            here = "/" if target.startswith("/") else here
        else:
            here = there
    return list(searched), here


def _has_access_list(path: str) -> bool:
    listing = getattr(os, "listxattr", None)
    try:
        return listing is not None and _ACCESS_LIST in listing(path)
    except OSError:
        return False
