"""
Courier: C{imapd}, C{imapd-ssl}, C{pop3d}, C{pop3d-ssl}, all of them shell variables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import attrs

from .carried import Carried, Port

_VARIABLE = re.compile(r"""^\s*([A-Z0-9_]+)=(?:"([^"]*)"|'([^']*)'|(\S*))""", re.M)
_LOST = ("TLS_PROTOCOL", "TLS_MIN_DH_BITS", "TLS_CIPHER_LIST", "TLS_PRIORITY")
_CERTIFICATE = {"PEER": "ask", "REQUIREPEER": "require"}
# where a protocol's mechanisms and its STARTTLS are written, and how its other names begin
_PROTOCOLS = (
    ("imap", "IMAP", "IMAPD", "IMAPDSTARTTLS", ("IMAP_CAPABILITY", "IMAP_CAPABILITY_TLS")),
    ("pop3", "POP3", "POP3D", "POP3_STARTTLS", ("POP3AUTH", "POP3AUTH_TLS")),
)


def read(texts: Sequence[str]) -> Carried:
    """
    From the texts of the files, in any order. Both protocols have a C{PORT}, each in a file of its
    own.
    """
    found: dict[str, dict[str, str]] = {"imap": {}, "pop3": {}}
    for text in texts:
        variables = {
            each[1]: each[2] or each[3] or each[4] or "" for each in _VARIABLE.finditer(text)
        }
        pop3 = any(each.startswith("POP3") for each in variables)
        found["pop3" if pop3 else "imap"].update(variables)
    carried = Carried()
    for protocol, prefix, start, starttls, mechanisms in _PROTOCOLS:
        options = found[protocol]
        if any(key.startswith(prefix) for key in options):
            carried.lost += [f"{key} = {options[key]}" for key in _LOST if options.get(key)]
            names = [name for each in mechanisms for name in _mechanisms(options.get(each, ""))]
            known = carried.known(names, f"{prefix}: mechanisms")
            clear = _clear(carried, options, prefix, starttls)
            for port, running in ((clear, f"{start}START"), (_SECURE, f"{start}SSLSTART")):
                if options.get(running, "YES" if port is clear else "NO").upper() == "YES":
                    carried.ports.append(_complete(carried, options, port, protocol, known))
    return carried


_SECURE = Port(protocol="imap", tls="implicit")


def _mechanisms(words: str) -> list[str]:
    """
    C{AUTH=PLAIN} among capabilities, or mechanisms alone; those of another variable are read there.
    """
    named = [each for each in words.split() if not each.startswith("$")]
    if any(each.upper().startswith("IMAP4") or "=" in each for each in named):
        return [each.removeprefix("AUTH=") for each in named if each.startswith("AUTH=")]
    return named


def _clear(carried: Carried, options: Mapping[str, str], prefix: str, starttls: str) -> Port:
    offered = options.get(starttls, "NO").upper() == "YES"
    required = options.get(f"{prefix}_TLS_REQUIRED", "0") == "1"
    if required and not offered:
        carried.lost.append(
            f"{prefix}_TLS_REQUIRED = 1 without {starttls} = YES: Courier lets everybody in then;"
            " here STARTTLS is there"
        )
    return Port(
        protocol="imap",
        tls="starttls" if offered or required else "none",
        cleartext="refuse" if required else "allow",
        minimum_layer=112 if required else 0,
    )


def _complete(
    carried: Carried,
    options: Mapping[str, str],
    port: Port,
    protocol: str,
    mechanisms: tuple[str, ...],
) -> Port:
    ssl = "SSL" if port.tls == "implicit" else ""
    address, number = options.get(f"{ssl}ADDRESS", ""), options.get(f"{ssl}PORT", "")
    if number and not number.isdecimal():
        carried.lost.append(f"{protocol}: {ssl}PORT = {number}")
    certificate = _CERTIFICATE.get(options.get("TLS_VERIFYPEER", "").upper(), "no")
    return attrs.evolve(
        port,
        protocol=protocol,
        port=int(number) if number.isdecimal() else 0,
        address=carried.addresses([address], f"{protocol}: {ssl}ADDRESS"),
        mechanisms=mechanisms,
        client_certificate=certificate if port.tls != "none" else "no",
    )
