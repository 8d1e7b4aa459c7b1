"""
Kinds of values that an option may have: each reads one TOML value or says what is wrong with it.

C{read} returns the value for the settings object and raises L{WrongValue} with a text of the form
C{what is wrong; what to do}.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Collection, Mapping
from datetime import date, datetime
from difflib import get_close_matches
from string import Formatter
from typing import Any, Protocol

import attrs

from mailaccess.auth.issuer import address_fault
from mailaccess.store.maildir.uniqueids import Pattern


class WrongValue(ValueError):
    """
    A value of the wrong type or out of range.
    """


class Kind(Protocol):
    """
    One kind of value.
    """

    @property
    def title(self) -> str:
        """
        What to write, for documentation.
        """

    def read(self, value: Any) -> Any:
        """
        The value as the program uses it.

        @raise WrongValue: it is not one
        """


def nearest(word: str, words: Collection[str]) -> str:
    """
    C{did you mean "x"?} or the list of what there is.
    """
    found = get_close_matches(word, words, n=1, cutoff=0.6)
    if found:
        return f'did you mean "{found[0]}"?'
    return "use one of " + ", ".join(sorted(words))


_JSON_NAMES = {
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a fraction",
    list: "an array",
    dict: "a table",
}


def _wrong_type(value: object, wanted: str) -> WrongValue:
    return WrongValue(f"is {_JSON_NAMES.get(type(value), 'a date or time')}; write {wanted}")


@attrs.frozen
class Text:
    """
    A string; with C{choices}, one of them.
    """

    choices: tuple[str, ...] = ()
    what: str = "string"

    @property
    def title(self) -> str:
        return " or ".join(f'`"{each}"`' for each in self.choices) or self.what

    def read(self, value: Any) -> str:
        if not isinstance(value, str):
            raise _wrong_type(value, "a string in quotes")
        if self.choices and value not in self.choices:
            raise WrongValue(f"is not known; {nearest(value, self.choices)}")
        if any(ord(each) < 32 for each in value):
            raise WrongValue("has a control character in it; remove it")
        return value


@attrs.frozen
class FileName:
    """
    An absolute path.
    """

    title: str = "path"

    def read(self, value: Any) -> str:
        text = Text().read(value)
        if text and not text.startswith("/"):
            raise WrongValue("is not absolute; start it with /")
        return text


@attrs.frozen
class FileOrAddress:
    """
    An absolute path or, where an issuer publishes it, the address.
    """

    title: str = "path or `https://` address"

    def read(self, value: Any) -> str:
        text = Text().read(value)
        if "://" in text:
            return Address().read(text)
        return FileName().read(text)


@attrs.frozen
class Address:
    """
    The address of an issuer of tokens.
    """

    title: str = "`https://` address"

    def read(self, value: Any) -> str:
        text = Text().read(value)
        fault = address_fault(text) if text else ""
        if fault:
            raise WrongValue(fault)
        return text


@attrs.frozen
class Template:
    """
    An absolute path with placeholders, of which one must tell users apart.
    """

    title: str = "path with `{user}`, `{local}`, `{domain}`"

    def read(self, value: Any) -> str:
        text = FileName().read(value)
        try:
            fields = {name for _, name, form, how in Formatter().parse(text) if name is not None}
        except ValueError:
            raise WrongValue("has a brace without its partner; write {user}") from None
        wrong = sorted(fields - {"user", "local", "domain"})
        if wrong:
            raise WrongValue(f"knows no {{{wrong[0]}}}; use {{user}}, {{local}} or {{domain}}")
        if not fields & {"user", "local"}:
            raise WrongValue("is the same for every user; put {user} or {local} into it")
        return text


@attrs.frozen
class UniqueIdFormat:
    """
    How a Dovecot made unique-ids for POP3.
    """

    title: str = "`pop3_uidl_format` as in Dovecot"

    def read(self, value: Any) -> str:
        text = Text().read(value)
        try:
            Pattern(text)
        except ValueError as error:
            raise WrongValue(f"cannot be used: {error}; write what Dovecot had") from None
        return text


@attrs.frozen
class Words:
    """
    Strings; one alone need not be an array. With C{choices}, only those.

    @ivar gone: what to say of words that others know and we do not
    """

    choices: tuple[str, ...] = ()
    what: str = "array of strings"
    gone: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def title(self) -> str:
        if self.choices:
            return "array of " + ", ".join(f'`"{each}"`' for each in self.choices)
        return self.what

    def read(self, value: Any) -> tuple[str, ...]:
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list | tuple):
            raise _wrong_type(value, "an array of strings")
        for each in value:
            if isinstance(each, str) and each in self.gone:
                raise WrongValue(f'has "{each}", {self.gone[each]}')
        return tuple(Text(self.choices).read(each) for each in value)


@attrs.frozen
class Switch:
    """
    Yes or no.
    """

    title: str = "`true` or `false`"

    def read(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise _wrong_type(value, "true or false, without quotes")
        return value


@attrs.frozen
class Number:
    """
    A whole number within bounds.
    """

    least: int = 0
    most: int = 2**31 - 1

    @property
    def title(self) -> str:
        return f"{self.least} to {self.most}" if self.most < 2**31 - 1 else "number"

    def read(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(value, "a whole number, without quotes")
        if not self.least <= value <= self.most:
            raise WrongValue(f"is out of range; write {self.least} to {self.most}")
        return value


@attrs.frozen
class _Scaled:
    least: int = 0
    most: int = 2**31 - 1

    units = {"": 1}
    example = ""

    @property
    def title(self) -> str:
        return f'`"{self.example}"`'

    def read(self, value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            amount = value
        elif isinstance(value, str):
            match = re.fullmatch(r"([0-9]{1,12})\s*([a-z]*)", value.strip().lower())
            if match is None or match[2] not in self.units:
                raise WrongValue(f'is not understood; write it like "{self.example}"')
            amount = int(match[1]) * self.units[match[2]]
        else:
            raise _wrong_type(value, f'it like "{self.example}"')
        if amount < self.least:
            raise WrongValue(f"is too small; the least is {self.least}")
        if amount > self.most:
            raise WrongValue(f"is too big; the most is {self.most}")
        return amount


@attrs.frozen
class Duration(_Scaled):
    """
    Seconds.
    """

    units = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
    example = "30s, 10m, 2h"


@attrs.frozen
class Size(_Scaled):
    """
    Octets.
    """

    most: int = 2**40

    units = {"": 1, "k": 2**10, "kb": 2**10, "m": 2**20, "mb": 2**20, "g": 2**30, "gb": 2**30}
    example = "64M"


@attrs.frozen
class Day:
    """
    A day, as TOML writes dates or in quotes; read as C{2026-12-31}.
    """

    title: str = "day like `2026-12-31`"

    def read(self, value: Any) -> str:
        if isinstance(value, str):
            try:
                value = date.fromisoformat(value)
            except ValueError:
                raise WrongValue("is no day; write one like 2026-12-31") from None
        if not isinstance(value, date) or isinstance(value, datetime):
            raise _wrong_type(value, "a day like 2026-12-31")
        return value.isoformat()


@attrs.frozen
class Addresses:
    """
    Where to listen: IP addresses, C{unix:/PATH} for a unix socket, or C{systemd:NAME} or
    C{systemd:NUMBER} for an inherited one.
    """

    title: str = 'array of IP addresses, `"unix:/PATH"` or `"systemd:NAME"`'

    def read(self, value: Any) -> tuple[str, ...]:
        words = Words().read(value)
        if not words:
            raise WrongValue('is empty; write for example ["0.0.0.0", "::"]')
        for each in words:
            if each.startswith("systemd:") and len(each) > len("systemd:"):
                continue
            if each.startswith("unix:"):
                _read_socket(each)
                continue
            try:
                ipaddress.ip_address(each)
            except ValueError:
                raise WrongValue(
                    f'has "{each}", which is no IP address; write numbers as in "127.0.0.1" or "::"'
                ) from None
        return words


LONGEST_SOCKET = 107
"""Octets of a path that fits into the address of a socket."""


def _read_socket(text: str) -> None:
    path = text.removeprefix("unix:")
    if not path.startswith("/"):
        raise WrongValue(f'has "{text}", which is no absolute path; write "unix:/PATH"')
    length = len(os.fsencode(path))
    if length > LONGEST_SOCKET:
        raise WrongValue(
            f'has "{text}", which is too long for a socket ({length} octets); use at most'
            f" {LONGEST_SOCKET}"
        )


@attrs.frozen
class Networks:
    """
    Networks in CIDR form, and words for others.
    """

    words: tuple[str, ...] = ("loopback",)

    @property
    def title(self) -> str:
        said = ", ".join(f'`"{each}"`' for each in self.words)
        return f'array of {said} and networks like `"10.1.0.0/16"`'

    def read(self, value: Any) -> tuple[str, ...]:
        words = Words().read(value)
        known = " or ".join(f'"{each}"' for each in self.words)
        for each in words:
            if each in self.words:
                continue
            try:
                network = ipaddress.ip_network(each)
            except ValueError as error:
                why = (
                    "has bits set behind the slash"
                    if "host bits" in str(error)
                    else "is no network"
                )
                raise WrongValue(
                    f'has "{each}", which {why}; write {known}, or one like "10.1.0.0/16"'
                ) from None
            if network.prefixlen == 0:
                raise WrongValue(
                    f'trusts everybody with "{each}"; name the networks that are yours'
                )
        return words
