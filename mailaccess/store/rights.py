"""
Who may do what in shared mailboxes (RFC 4314), as lines of text::

    # mailbox              who              rights
    Public                 group:staff      k
    Public/*               authenticated    lrs
    Public/News            user:amy         lrswipkxte
    "Public/Board papers*" anyone           -lrs
    "Public/Board papers*" group:board      lrs

Mailboxes are named as clients see them; C{*} stands for anything and C{%} for anything within one
level. Lines count in their order: each adds to what those above it gave, or with C{-} takes away.
Nobody has a right that no line gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import itemgetter

import attrs
from zope.interface import Attribute, Interface

from mailaccess.errors import BadMailboxName, BadSyntax
from mailaccess.store.names import DELIMITER, directory_of
from mailaccess.wire.pattern import ListPattern

ALL = "lrswipkxtea"
"""
RFC 4314 section 2.1: look up, read, keep seen, write flags, insert, post, create (k), delete the
mailbox (x), delete messages (t), expunge, administer.
"""

READ = "lrs"
"""What everybody may where nobody may write."""

Rights = frozenset[str]
NONE: Rights = frozenset()
EVERYTHING: Rights = frozenset(ALL)
LOOK: Rights = frozenset("lr")
FLAG_RIGHTS: Rights = frozenset("stw")

_WORDS = re.compile(r'\s*(?:"((?:[^"\\]|\\["\\])*+)"|([^\s"#][^\s"]*+))(?=\s|$)')
_REST = re.compile(r"\s*(?:#.*)?")
_ESCAPED = re.compile(r"\\(.)")
_REMEMBERED = 256
"""Mailboxes, and sets of lines, that are not looked for again; of each session there may be one."""

MOST_LINES = 20_000


def right_for(flag: str) -> str:
    """
    The right that it takes to change a flag (RFC 4314 section 4).
    """
    return {"\\seen": "s", "\\deleted": "t"}.get(flag.lower(), "w")


@attrs.frozen
class Line:
    """
    One line.

    @ivar mailbox: name or pattern
    @ivar who: C{user}, C{group}, C{authenticated} or C{anyone}
    @ivar name: of the user or group
    @ivar gives: else it takes away
    """

    mailbox: str
    who: str
    name: str
    rights: Rights
    gives: bool = True

    @property
    def identifier(self) -> str:
        """
        How an ACL names it (RFC 4314 section 2): users by their name, groups behind C{$}.
        """
        name = {"user": self.name, "group": f"${self.name}"}.get(self.who, self.who)
        return name if self.gives else f"-{name}"


class ISharesMailboxes(Interface):
    """
    Optional power of an L{IAccount<mailaccess.interfaces.IAccount>}, named in its C{powers}:
    mailboxes that others have as well, with rights (RFC 4314, RFC 2342).
    """

    shared: Sequence[str] = Attribute("prefixes of the namespaces that many share, as C{Public/}")

    async def rights(name: str) -> Collection[str]:
        """
        Letters of what the user may do in a mailbox.

        @raise mailaccess.errors.NoSuchMailbox: it is missing, or nothing at all is allowed there
        """

    async def access(name: str) -> Sequence[tuple[str, Collection[str]]]:
        """
        Who may do what in a mailbox: identifiers (C{-} before those that something is taken from)
        and letters.

        @raise mailaccess.errors.NotPermitted: the user has no C{a} there
        """


class Grants:
    """
    What the lines for one person give. Mailboxes that are named cost nothing to look for, each
    pattern costs a comparison.
    """

    def __init__(self, lines: Iterable[Line]) -> None:
        self._named: dict[str, list[tuple[int, Line]]] = {}
        self._patterns: list[tuple[ListPattern, tuple[int, Line]]] = []
        self._known: dict[str, Rights] = {}
        for place in enumerate(lines):
            mailbox = place[1].mailbox
            if "*" in mailbox or "%" in mailbox:
                self._patterns.append((ListPattern("", mailbox, DELIMITER), place))
            else:
                self._named.setdefault(mailbox, []).append(place)

    def fitting(self, mailbox: str) -> list[Line]:
        """
        The lines for a mailbox, in their order.
        """
        fitting = [place for pattern, place in self._patterns if pattern.matches(mailbox)]
        places = [*self._named.get(mailbox, ()), *fitting]
        return [line for _, line in sorted(places, key=itemgetter(0))]

    def of(self, mailbox: str) -> Rights:
        """
        The rights in a mailbox, whether it is there or not.
        """
        known = self._known.get(mailbox)
        if known is None:
            known = NONE
            for line in self.fitting(mailbox):
                known = known | line.rights if line.gives else known - line.rights
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[mailbox] = known
        return known


NO_GRANTS = Grants(())


@attrs.frozen(eq=False)
class Contents:
    """
    All lines.

    @ivar anonymous: canonical name of the user who is nobody in particular, or empty
    """

    lines: Sequence[Line] = ()
    anonymous: str = ""
    _known: dict[tuple[int, ...], Grants] = attrs.field(factory=dict, init=False, repr=False)

    def grants(self, name: str, groups: frozenset[str]) -> Grants:
        """
        What a person has. Those for whom the same lines are share it.

        @param name: canonical
        @param groups: without case, as L{mailaccess.policy.rules.Person.groups}
        """
        means: Mapping[str, Callable[[str], bool]] = {
            "anyone": lambda _: True,
            "authenticated": lambda _: name != self.anonymous,
            "user": name.__eq__,
            "group": groups.__contains__,
        }
        places = [at for at, line in enumerate(self.lines) if means[line.who](line.name)]
        if not places:
            return NO_GRANTS
        found = self._known.get(tuple(places))
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[tuple(places)] = Grants(self.lines[at] for at in places)
        return found

    def access(self, mailbox: str) -> list[tuple[str, Rights]]:
        """
        Identifiers and rights of all who have lines for a mailbox, in the order of the file.
        """
        found: dict[str, Rights] = {}
        for line in Grants(self.lines).fitting(mailbox):
            found[line.identifier] = found.get(line.identifier, NONE) | line.rights
        return list(found.items())


def everybody(prefix: str, rights: str) -> Contents:
    """
    The same rights for all, in all mailboxes of a namespace.
    """
    return Contents((Line(f"{prefix}*", "anyone", "", frozenset(rights)),))


class BadLines(ValueError):
    """
    Lines that are wrong.

    @ivar problems: C{line: what is wrong}
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def read_lines(
    text: bytes, prefix: str, canonical: Callable[[str], str], anonymous: str = ""
) -> Contents:
    """
    The lines of a file for a namespace.

    @param canonical: what makes user names canonical; may raise L{ValueError}
    @raise BadLines: one or more are wrong; none of the file is to be used then, since the wrong one
        may be what was to take rights away
    """
    found, problems = [], []
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        number = text.count(b"\n", 0, error.start) + 1
        raise BadLines([f"{number}: is not UTF-8"]) from None
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            found.append(_read_line(line.removesuffix("\r"), prefix, canonical))
        except ValueError as error:
            problems.append(f"{number}: {error}")
    if len(found) > MOST_LINES:
        problems.append(f"{number}: more than {MOST_LINES} lines")
    if problems:
        raise BadLines(problems)
    return Contents(tuple(found), anonymous)


def _read_line(line: str, prefix: str, canonical: Callable[[str], str]) -> Line:
    words, at = [], 0
    for _ in range(3):
        match = _WORDS.match(line, at)
        if match is None:
            raise ValueError("wants three words: mailbox, who, rights; quotes around spaces")
        words.append(match[2] if match[1] is None else _ESCAPED.sub(r"\1", match[1]))
        at = match.end()
    if not _REST.fullmatch(line, at):
        raise ValueError("has more than three words; quotes around names with spaces")
    mailbox, who, rights = words
    _check_mailbox(mailbox, prefix)
    gives = not rights.startswith("-")
    letters = rights.removeprefix("-")
    unknown = [letter for letter in letters if letter not in ALL]
    if unknown or not letters:
        what = f"{unknown[0]!r} is no right" if unknown else "no rights are named"
        raise ValueError(f"{what}; use letters of {ALL}")
    kind, colon, name = who.partition(":")
    if kind == "user" and name:
        name = canonical(name)
    elif kind == "group" and name:
        name = name.casefold()
    elif colon or kind not in ("anyone", "authenticated"):
        raise ValueError(f"{who!r}: write user:NAME, group:NAME, authenticated or anyone")
    return Line(mailbox, kind, name, frozenset(letters), gives)


def _check_mailbox(mailbox: str, prefix: str) -> None:
    if mailbox == prefix.removesuffix(DELIMITER):
        return
    if not mailbox.startswith(prefix):
        raise ValueError(f"{mailbox!r} does not begin with {prefix}")
    try:
        ListPattern("", mailbox, DELIMITER)
        if "*" not in mailbox and "%" not in mailbox:
            directory_of(mailbox.removeprefix(prefix))
    except (BadMailboxName, BadSyntax):
        raise ValueError(f"{mailbox!r} can be no mailbox") from None
