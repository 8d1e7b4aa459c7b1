"""
What was read from another server's configuration, and how it is written in ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address

import attrs

from mailaccess.services.options import toml
from mailaccess.services.settings import MECHANISM_NAMES

OWN = {"imap": "LOGIN command", "pop3": "USER"}
"""The way to log in that is no SASL mechanism."""


_EVERYWHERE = frozenset({"", "*", "0", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound


@attrs.frozen(kw_only=True)
class Port:
    """
    One listener; fields as those of L{mailaccess.services.settings.ListenerSettings}.

    @ivar address: where it listens; empty for everywhere
    @ivar command: LOGIN, or USER and PASS, are there
    """

    protocol: str
    tls: str = "starttls"
    port: int = 0
    address: tuple[str, ...] = ()
    cleartext: str = "refuse"
    minimum_layer: int = 0
    minimum_tls: str = ""
    client_certificate: str = "no"
    mechanisms: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    command: bool = True


@attrs.define
class Carried:
    """
    All of it.

    @ivar lost: what could not be carried over
    """

    ports: list[Port] = attrs.field(factory=list)
    lost: list[str] = attrs.field(factory=list)

    def addresses(self, words: Sequence[str], where: str) -> tuple[str, ...]:
        """
        Addresses as ours are written, from those that others write; empty for everywhere. Names
        other than C{localhost} are lost.
        """
        found: list[str] = []
        for each in words:
            word = each.strip("[]")
            if word.casefold() == "localhost":
                found += ["127.0.0.1", "::1"]
            elif word not in _EVERYWHERE:
                try:
                    found.append(str(ip_address(word)))
                except ValueError:
                    self.lost.append(f"{where}: {each} is no IP address")
        return tuple(found)

    def known(self, names: Sequence[str], where: str) -> tuple[str, ...]:
        """
        The mechanisms that are here, too; others are lost.
        """
        upper = [each.upper() for each in names]
        gone = [each for each in upper if each not in MECHANISM_NAMES]
        if gone:
            self.lost.append(f"{where}: there is no {', '.join(gone)} here")
        return tuple(dict.fromkeys(each for each in upper if each in MECHANISM_NAMES))


def render(carried: Carried) -> Iterator[str]:
    """
    Lines for our configuration file.
    """
    for each in dict.fromkeys(carried.lost):
        yield f"# not carried over: {each}"
    for port in carried.ports:
        yield ""
        yield "[[listener]]"
        yield f"protocol = {toml(port.protocol)}"
        yield f"tls = {toml(port.tls)}"
        if port.address:
            yield f"address = {toml(port.address)}"
        if port.port:
            yield f"port = {port.port}"
        yield from _demands(port)


def _demands(port: Port) -> Iterator[str]:
    demanded = port.minimum_layer or port.minimum_tls
    if port.tls != "implicit" and port.cleartext != "refuse" and not demanded:
        yield f"cleartext = {toml(port.cleartext)}"
    if port.minimum_tls and port.tls != "none":
        yield f"minimum_tls = {toml(port.minimum_tls)}"
    elif port.minimum_layer:
        yield f"minimum_layer = {port.minimum_layer}"
    if port.private and port.tls != "implicit" and not port.minimum_tls:
        yield f"private = {toml(port.private)}"
    if port.client_certificate != "no" and port.tls != "none":
        yield f"client_certificate = {toml(port.client_certificate)}"
    if port.mechanisms:
        own = (OWN[port.protocol],) if port.command else ()
        yield f"mechanisms = {toml((*own, *port.mechanisms))}"
