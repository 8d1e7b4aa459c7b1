"""
Courier: C{imapd}, C{imapd-ssl}, C{pop3d}, C{pop3d-ssl}, all of them shell variables.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .carried import Carried, Port

_VARIABLE = re.compile(r"""^\s*([A-Z0-9_]+)=(?:"([^"]*)"|'([^']*)'|(\S*))""", re.M)
_LOST = ("TLS_PROTOCOL", "TLS_MIN_DH_BITS", "TLS_CIPHER_LIST", "TLS_PRIORITY", "TLS_VERIFYPEER")


def read(texts: Sequence[str]) -> Carried:
    """
    From the texts of the files, in any order.
    """
    found = {
        each[1]: each[2] or each[3] or each[4] or ""
        for text in texts
        for each in _VARIABLE.finditer(text)
    }
    carried = Carried(lost=[f"{key} = {found[key]}" for key in _LOST if found.get(key)])
    for protocol, prefix, start in (("imap", "IMAP", "IMAPD"), ("pop3", "POP3", "POP3D")):
        if not any(key.startswith(prefix) for key in found):
            continue
        words = found.get(f"{prefix}_CAPABILITY", "") if protocol == "imap" else ""
        names = [each.removeprefix("AUTH=") for each in words.split() if each.startswith("AUTH=")]
        names += found.get("POP3AUTH", "").split() if protocol == "pop3" else []
        mechanisms = carried.known(names, f"{prefix}: mechanisms")
        starttls = found.get(f"{start}STARTTLS", "NO").upper() == "YES"
        required = found.get(f"{prefix}_TLS_REQUIRED", "0") == "1"
        if required and not starttls:
            carried.lost.append(
                f"{prefix}_TLS_REQUIRED = 1 without {start}STARTTLS = YES: Courier lets everybody"
                " in then; here STARTTLS is there"
            )
        carried.ports.append(
            Port(
                protocol=protocol,
                tls="starttls" if starttls or required else "none",
                cleartext="refuse" if required else "allow",
                minimum_layer=112 if required else 0,
                mechanisms=mechanisms,
            )
        )
        if found.get(f"{start}SSLSTART", "NO").upper() == "YES":
            carried.ports.append(Port(protocol=protocol, tls="implicit", mechanisms=mechanisms))
    return carried
