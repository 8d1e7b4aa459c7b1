"""
How much mail somebody may have, and the ways that is written.

    5G                          octets, with a unit of 1024
    5G,20000C                   octets and messages
    104857600S,1000C            the same as Courier writes it, in directories and C{maildirsize}
    *:bytes=100M:messages=1000  as Dovecot's C{quota_rule}; C{storage} counts in kilobytes
    none                        no limit; so does 0 for either of the two
"""

from __future__ import annotations

import re

import attrs
from zope.interface import Interface

_UNITS = {"": 1, "s": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_ITEM = re.compile(r"([0-9]{1,18})\s*(?:([kmgt]?)i?b?|([sc]))")
_AMOUNT = re.compile(r"([0-9]{1,18})([bkmgt]?)")
_NONE = {"none", "noquota", "unlimited"}
_MOST = 2**63 - 1


@attrs.frozen
class Allowance:
    """
    Limits of one account.

    @ivar octets: of all messages together, or None
    @ivar messages: their count, or None
    """

    octets: int | None = None
    messages: int | None = None

    def __bool__(self) -> bool:
        return (self.octets, self.messages) != (None, None)

    def fits(self, octets: int, messages: int) -> bool:
        """
        Whether there may be so much.
        """
        return (self.octets is None or octets <= self.octets) and (
            self.messages is None or messages <= self.messages
        )

    @property
    def definition(self) -> str:
        """
        As the first line of C{maildirsize} has it; empty for no limits.
        """
        octets = f"{self.octets}S" if self.octets is not None else ""
        messages = f"{self.messages}C" if self.messages is not None else ""
        return ",".join(each for each in (octets, messages) if each)


UNLIMITED = Allowance()


def parse(text: str) -> Allowance:
    """
    The limits that a text means.

    @raise ValueError: it is in none of the forms
    """
    text = text.strip().lower()
    if text in _NONE:
        return UNLIMITED
    found = _rule(text) if "=" in text else _list(text)
    if not found:
        raise ValueError(f"no quota: {text[:100]!r}")
    return Allowance(found.get("octets") or None, found.get("messages") or None)


def _list(text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in text.split(","):
        match = _ITEM.fullmatch(each.strip())
        if match is None:
            raise ValueError(f"no quota: {text[:100]!r}")
        if match[3] == "c":
            found["messages"] = int(match[1])
        else:
            found["octets"] = min(int(match[1]) * _UNITS[match[2] or ""], _MOST)
    return found


def _rule(text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    parts = text.split(":")
    while parts and "=" not in parts[0]:
        # What it is for: "*", or the name of a driver or a root.
        if parts[0] not in ("*", "maildir", "count", "dict", "fs", "user quota"):
            raise ValueError(f"no quota for all mailboxes: {text[:100]!r}")
        parts.pop(0)
    for each in parts:
        name, _, amount = each.partition("=")
        match = _AMOUNT.fullmatch(amount)
        if match is None or name not in ("bytes", "storage", "messages"):
            raise ValueError(f"no quota: {text[:100]!r}")
        number = int(match[1])
        if name == "messages":
            found["messages"] = number * _UNITS[match[2]]
        else:
            default = "k" if name == "storage" else "b"
            found["octets"] = min(number * _UNITS[match[2] or default], _MOST)
    return found


@attrs.frozen
class Quota:
    """
    What the mailboxes of one quota root hold together, and may hold (RFC 9208 section 3.2).

    @ivar root: its name
    @ivar octets: of all messages, with CRLF line ends
    @ivar messages: how many there are
    @ivar allowance: the limits
    @ivar warning: percent of a limit from which on people are warned; 0 for never
    """

    root: str
    octets: int
    messages: int
    allowance: Allowance = UNLIMITED
    warning: int = 0

    @property
    def percent(self) -> int:
        """
        How full it is, by the limit that is nearest; 0 where there is none.
        """
        allowed = self.allowance
        limits = (self.octets, allowed.octets), (self.messages, allowed.messages)
        return max([100 * used // max(most, 1) for used, most in limits if most is not None] or [0])

    @property
    def warns(self) -> bool:
        """
        Whether people are to be warned.
        """
        return 0 < self.warning <= self.percent


class IKeepsToQuota(Interface):
    """
    Optional power of an L{IAccount<mailaccess.interfaces.IAccount>}, named in its C{powers}: QUOTA
    (RFC 9208).
    """

    async def quota(name: str) -> Quota | None:
        """
        The quota that a mailbox counts to, deliveries included; None where there is none. The
        mailbox need not exist.
        """

    def quota_now(name: str) -> Quota | None:
        """
        The same at once, without a look at what others delivered; None also where nothing limits
        it.
        """
