"""
Dovecot: the output of C{doveconf -n}, of 2.3 and 2.4.
"""

from __future__ import annotations

from collections.abc import Sequence

from .carried import Carried, Port

_READ = frozenset(
    {
        *("ssl", "disable_plaintext_auth", "auth_allow_cleartext", "auth_mechanisms", "protocols"),
        *("login_trusted_networks", "auth_ssl_require_client_cert", "ssl_verify_client_cert"),
        *("ssl_server_request_client_cert", "listen"),
    }
)
_LISTS = frozenset({"protocols", "auth_mechanisms"})
"""What 2.4 may write as a block with C{NAME = yes} for each."""

_AS_HERE = frozenset({"ssl_min_protocol = TLSv1.2", "auth_ssl_username_from_cert = no"})
_OURS = ("ssl_min_protocol", "ssl_cipher", "auth_ssl", "auth_policy", "haproxy_trusted")
_PORTS = {"imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995}


def read(texts: Sequence[str]) -> Carried:
    """
    Settings at the top count; blocks that change them for some are lost, and said.
    """
    carried = Carried()
    top: dict[str, str] = {}
    ports: dict[str, int] = {}
    stack: list[str] = []
    for line in (each.strip() for text in texts for each in text.splitlines()):
        if line.endswith("{"):
            stack.append(line[:-1].strip())
        elif line == "}":
            stack = stack[:-1]
        elif "=" in line and not line.startswith("#"):
            key, value = (each.strip() for each in line.split("=", 1))
            value = value.strip('"').strip()
            if not stack:
                top[key] = value
            elif len(stack) == 1 and stack[0] in _LISTS:
                top[stack[0]] = f"{top.get(stack[0], '')} {key if value == 'yes' else ''}".strip()
            elif stack[-1].startswith("inet_listener ") and key == "port" and value.isdecimal():
                ports[stack[-1].split()[1]] = int(value)
            elif key in _READ and not stack[0].startswith("service "):
                carried.lost.append(f"{' / '.join(stack)}: {key} = {value}")
    for key, value in top.items():
        line = f"{key} = {value}"
        if key.startswith(_OURS) and key not in _READ and value and line not in _AS_HERE:
            carried.lost.append(line)
    if _newest(top):
        carried.lost.remove("ssl_min_protocol = TLSv1.3")
    if _newest(top) and top.get("ssl", "yes") == "yes":
        carried.lost.append("ssl_min_protocol = TLSv1.3, where TLS begins by STARTTLS or STLS")
    for protocol in top.get("protocols", "imap pop3").replace(",", " ").split():
        if protocol in ("imap", "pop3"):
            carried.ports += _ports(carried, top, ports, protocol)
    return carried


def _newest(top: dict[str, str]) -> bool:
    """
    Whether there is no TLS but the newest. Where clients may do without, nothing here says so.
    """
    return top.get("ssl_min_protocol") == "TLSv1.3"


def _ports(
    carried: Carried, top: dict[str, str], ports: dict[str, int], protocol: str
) -> list[Port]:
    cleartext = top.get("disable_plaintext_auth", "yes") == "no"
    cleartext = cleartext or top.get("auth_allow_cleartext", "no") == "yes"
    ssl = top.get("ssl", "yes")
    require = top.get("auth_ssl_require_client_cert", "no") == "yes"
    ask = "yes" in (
        top.get("ssl_verify_client_cert"),
        top.get("ssl_server_request_client_cert"),
    )
    address = carried.addresses(top.get("listen", "").replace(",", " ").split(), "listen")
    mechanisms = carried.known(top.get("auth_mechanisms", "plain").split(), "auth_mechanisms")
    # Dovecot takes clients on its own machine for private; ours does so where it is told to.
    private = ("loopback", *top.get("login_trusted_networks", "").split())
    found = []
    for name, tls in ((protocol, "starttls"), (f"{protocol}s", "implicit")):
        if ports.get(name, 1) == 0 or (ssl == "no" and tls == "implicit"):
            continue
        found.append(
            Port(
                protocol=protocol,
                tls="none" if ssl == "no" else tls,
                port=ports.get(name, _PORTS[name]),
                address=address,
                cleartext="allow" if cleartext and ssl != "required" else "refuse",
                minimum_tls="1.3"
                if _newest(top) and (ssl == "required" or tls == "implicit")
                else "1.2"
                if ssl == "required"
                else "",
                client_certificate="require" if require else "ask" if ask else "no",
                mechanisms=mechanisms,
                private=() if cleartext or ssl == "required" else private,
                command="PLAIN" in mechanisms,
            )
        )
    return found
