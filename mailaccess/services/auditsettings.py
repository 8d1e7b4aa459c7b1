"""
The tables of the configuration that make the policy seen: what is kept, tried out, tightened and
counted.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

import attrs

from .kinds import Duration, FileName, Number, Text, Words, WrongValue
from .options import option


@attrs.frozen
class LocalAddress:
    """
    Where only this machine gets at: C{127.0.0.1:9143}, C{[::1]:9143} or C{unix:/path}.
    """

    title: str = '`"127.0.0.1:9143"`, or `"unix:/path"`'

    def read(self, value: Any) -> str:
        text = Text().read(value)
        if text.startswith("unix:"):
            FileName().read(text.removeprefix("unix:"))
            return text
        found = re.fullmatch(r"\[?([0-9a-fA-F:.]+?)\]?:([0-9]{1,5})", text)
        try:
            address = ipaddress.ip_address(found[1]) if found else None
        except ValueError:
            address = None
        if found is None or address is None or int(found[2]) > 65535:
            raise WrongValue('is no address with a port; write one like "127.0.0.1:9143"')
        if not address.is_loopback:
            raise WrongValue("is not on loopback, and anybody could read it; write 127.0.0.1")
        return text


@attrs.frozen(kw_only=True)
class AuditSettings:
    """
    A database of who still logs in in the clear: one row for each combination of user, address,
    mechanism, client and outcome, with first, last and count.
    """

    database: str = option(
        FileName(), "", "the file, in a directory where the server may write; empty for none"
    )
    keep: int = option(
        Duration(86400, 3650 * 86400), "90d", "how long after its last time a row is kept"
    )
    rows: int = option(
        Number(1000, 10_000_000),
        100_000,
        "the most rows; the oldest that no password vouches for go",
    )


@attrs.frozen(kw_only=True)
class ShadowSettings:
    """
    A policy that is tried out: asked of every login beside the one that counts, it changes nothing.
    """

    policy: str = option(
        FileName(),
        "",
        "a configuration file of its own, of which `[[listener]]` and `[[rule]]` are the policy;"
        " read again on SIGHUP. Empty for none",
    )


@attrs.frozen(kw_only=True)
class RatchetSettings:
    """
    Users who have logged in over TLS only are refused in the clear from then on. Rules and users'
    own records come before it: `cleartext = "allow"` there exempts.
    """

    after: int = option(
        Duration(0, 3650 * 86400), 0, "how long with nothing but TLS, such as `30d`; 0 for never"
    )
    logins: int = option(Number(1), 10, "and at least so many logins")
    exempt: tuple[str, ...] = option(
        Words(what="array of names or patterns"), [], "users whom it leaves out"
    )


@attrs.frozen(kw_only=True)
class MetricsSettings:
    """
    Counters for Prometheus and others that read its text format.
    """

    listen: str = option(
        LocalAddress(), "", "where they are served by HTTP at `/metrics`; empty for nowhere"
    )
