"""
How much mail somebody may have: what their record says, else the first C{[[quota]]} that is for
them, else nothing, so that C{maildirsize} counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import attrs
from twisted.logger import Logger

from mailaccess.auth.passwdlines import Contents
from mailaccess.errors import BadMailboxName
from mailaccess.interfaces import Identity
from mailaccess.policy.rules import Person
from mailaccess.store import names
from mailaccess.store.quota import Allowance, parse

from .mailsettings import USES, QuotaSettings
from .problems import Document
from .settings import Settings

log = Logger()

FIELDS = ("quota", "quota_rule")
"""Fields of a record that may say it, the stronger first; the second is Dovecot's."""


@attrs.frozen
class Stated:
    """
    Limits, and where they are written.
    """

    allowance: Allowance
    source: str


@attrs.frozen
class Quotas:
    """
    The limits of everybody, by a configuration. Called with an identity, it is what
    L{StoreOptions.allowance<mailaccess.store.options.StoreOptions>} wants.
    """

    tables: Sequence[QuotaSettings] = ()

    def __call__(self, identity: Identity) -> Allowance | None:
        """
        The limits of somebody, or None where nobody said anything. A record that is not understood
        says nothing, and is logged.
        """
        try:
            stated = self.stated(identity.name, identity.fields)
        except ValueError as error:
            log.warn(
                "quota of {user} is not understood",
                event="quota-unclear",
                user=identity.name,
                reason=str(error),
            )
            stated = self.stated(identity.name, _without(identity.fields))
        return stated.allowance if stated is not None else None

    def stated(self, name: str, fields: Mapping[str, str]) -> Stated | None:
        """
        The same, with where it is written.

        @raise ValueError: the record is not understood
        """
        for field in FIELDS:
            if fields.get(field):
                return Stated(parse(fields[field]), f"{field} of the record")
        person = Person(name, fields)
        for each in self.tables:
            if matches(each, person):
                return Stated(Allowance(each.storage or None, each.messages or None), each.source)
        return None


NO_QUOTAS = Quotas()


def _without(fields: Mapping[str, str]) -> Mapping[str, str]:
    return {key: value for key, value in fields.items() if key not in FIELDS}


def matches(table: QuotaSettings, person: Person) -> bool:
    """
    Whether a table is for somebody.
    """
    if not table.users and not table.groups:
        return True
    name = person.name.casefold()
    return any(fnmatchcase(name, each.casefold()) for each in table.users) or any(
        each.casefold() in person.groups for each in table.groups
    )


def unclear(contents: Contents) -> Iterator[tuple[int, str, str]]:
    """
    Line, name and what is wrong, of the records of a password file whose quota is not understood.
    """
    for name, (number, line) in contents.lines.items():
        # Few lines have it, and taking all apart takes long.
        record = contents.find(name) if b"quota" in line.lower() else None
        fields = record.fields() if record is not None else {}
        try:
            Quotas().stated(name, fields)
        except ValueError as error:
            yield number, name, str(error)


def tables_make_sense(document: Document, settings: Settings) -> None:
    """
    Note C{[[quota]]} that never count.
    """
    everybody = None
    for position, each in enumerate(settings.quota):
        path = ("quota", position)
        table = document.data["quota"][position]
        if not {"storage", "messages"} & table.keys():
            document.wrong(path, 'limits nothing; add storage = "5G", or messages')
        for option in ("users", "groups"):
            if option in table and table[option] in ([], ""):
                document.wrong((*path, option), "is for nobody; write names, or remove it")
        if everybody is not None:
            line = document.line(("quota", everybody))
            document.wrong(
                path, f"never counts, the table in line {line} is for everybody; move it up"
            )
        elif not each.users and not each.groups:
            everybody = position


def folders_have_names(document: Document, settings: Settings) -> None:
    """
    Note names that no mailbox can have, and names of two folders.
    """
    seen: dict[str, str] = {}
    for use in USES:
        name = getattr(settings.folders, use)
        path = ("folders", use)
        try:
            if not names.directory_of(name):
                document.wrong(path, "is where mail arrives; give it another name")
        except BadMailboxName:
            document.wrong(path, 'is no name for a mailbox; write one like "Sent"')
        if name.casefold() in seen:
            document.wrong(path, f"is the name of {seen[name.casefold()]}, too; give it another")
        seen.setdefault(name.casefold(), use)
