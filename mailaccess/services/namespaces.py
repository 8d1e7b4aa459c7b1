"""
Public folders as the configuration has them: what C{[[namespace]]} means, and what is wrong there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mailaccess.auth.names import BadName, canonical_name
from mailaccess.errors import BadMailboxName
from mailaccess.interfaces import IAccounts
from mailaccess.store.accounts import MaildirAccounts
from mailaccess.store.branch import Namespace
from mailaccess.store.names import DELIMITER, directory_of
from mailaccess.store.namespaces import NamespaceAccounts
from mailaccess.store.rights import READ, BadLines
from mailaccess.store.rightsfile import ForAll, RightsFile

from .namespacesettings import NamespaceSettings
from .problems import Document

if TYPE_CHECKING:
    from .settings import Settings

MOST_LINES = 50
"""Of bad lines of one file of rights, so many are named."""


def with_namespaces(store: MaildirAccounts, settings: Settings, reactor: Any) -> IAccounts:
    """
    A store with the namespaces of a configuration; the same if it has none.
    """
    if not settings.namespace:
        return store
    spaces = [
        Namespace(
            each.prefix,
            os.path.normpath(each.path),
            _file(each, settings, reactor) if each.rights else ForAll.of(each.prefix, READ),
        )
        for each in settings.namespace
    ]
    return NamespaceAccounts(store, spaces)


def _file(each: NamespaceSettings, settings: Settings, reactor: Any) -> RightsFile:
    canonical = _canonical(settings)
    anonymous = settings.login.anonymous
    name = canonical(anonymous) if anonymous else ""
    return RightsFile(each.rights, each.prefix, reactor, canonical, name)


def _canonical(settings: Settings) -> Callable[[str], str]:
    return lambda name: canonical_name(name, settings.mail.domain)


def tables_make_sense(document: Document, settings: Settings) -> None:
    """
    Note C{[[namespace]]} that cannot be meant so.
    """
    seen: dict[str, str] = {}
    for position, each in enumerate(settings.namespace):
        path = ("namespace", position)
        if each.prefix:
            wrong = _wrong_prefix(each.prefix)
            if wrong:
                document.wrong((*path, "prefix"), wrong)
        if each.read_only and each.rights:
            document.wrong(
                (*path, "read_only"), "is not needed beside rights; remove one of the two"
            )
        elif not each.read_only and not document.value((*path, "rights")):
            document.wrong(
                path, "says nothing of who may do what; add rights = FILE, or read_only = true"
            )
        for option in ("prefix", "path"):
            value = getattr(each, option)
            key = value.casefold() if option == "prefix" else os.path.normpath(value)
            if value and key in seen:
                document.wrong((*path, option), "is that of another namespace, too; write another")
            seen[key] = option


def _wrong_prefix(prefix: str) -> str:
    top = prefix.removesuffix("/")
    if top == prefix or "/" in top:
        return 'is not one level of names; write one like "Public/"'
    try:
        if not directory_of(top):
            return "is where mail arrives; write another name"
    except BadMailboxName:
        return 'can be no name of mailboxes; write one like "Public/"'
    if "*" in top or "%" in top or top.startswith("#") or len(top) > 50:
        return 'has * or %, begins with # or is long; write one like "Public/"'
    return ""


def look(document: Document, settings: Settings, summary: list[str]) -> None:
    """
    Note what is wrong with directories and files of rights; C{summary} gets what there is.
    """
    mail = settings.mail
    if (mail.delimiter, mail.prefix) != (DELIMITER, ""):
        summary.append(f"folders are {mail.prefix}Work{mail.delimiter}2024 to clients")
    for position, each in enumerate(settings.namespace):
        option = ("namespace", position, "path")
        if each.path and not os.path.isdir(each.path):
            document.wrong(option, f"is no directory; mkdir -p {each.path}")
        elif each.path and os.geteuid() != 0 and not os.access(each.path, os.W_OK | os.X_OK):
            # Root becomes another user, who is looked at elsewhere.
            document.wrong(option, "cannot be written to; chown it")
        option = ("namespace", position, "rights")
        if each.rights and each.prefix:
            summary.extend(_looked_at(document, settings, each, option))
        elif each.read_only:
            summary.append(f"namespace {each.prefix}: everybody may read")


def _looked_at(
    document: Document, settings: Settings, each: NamespaceSettings, option: tuple[str, int, str]
) -> Iterator[str]:
    try:
        if os.stat(each.rights).st_mode & stat.S_IWOTH:
            document.wrong(option, f"can be written by everybody; chmod o-w {each.rights}")
        contents = _file(each, settings, None).load()
    except OSError as error:
        document.wrong(option, f"cannot be read ({error.strerror}); make it, or correct the path")
    except BadName as error:
        document.wrong(("login", "anonymous"), f"is no user name: {error}; write another")
    except BadLines as error:
        for problem in error.problems[:MOST_LINES]:
            document.note(option, f"{each.rights}:{problem}; correct the line")
    else:
        yield f"namespace {each.prefix}: {len(contents.lines)} lines of rights"
