"""
C{mailaccess probe HOST[:PORT]}: what a mail access server does, seen from outside.

It tries what an attacker would try and what a careful client relies on, with names and passwords
that are nobody's, and says of each check whether the server passed. Any server can be probed; ask
its owner first.
"""

from __future__ import annotations

import getpass
import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

from ..command import Command, Failed
from . import clear, secure
from .logins import BINDINGS, MECHANISMS, Distrusted, log_in
from .probing import BAD, OK, Check, Finding, NoTLS, Probe, run
from .tlsfacts import certificate_of, identity_problem, verifying
from .wire import Gone, Target

_PORTS = {143: ("imap", False), 993: ("imap", True), 110: ("pop3", False), 995: ("pop3", True)}
_CLEAR = (
    clear.offers_in_the_clear,
    clear.password_in_the_clear,
    clear.literal_in_the_clear,
    clear.sasl_in_the_clear,
)
_STARTTLS = (clear.starttls_injection, clear.starttls_split)
_SECURE = (
    clear.starttls_twice,
    secure.certificate,
    secure.versions,
    secure.ciphers,
    secure.alpn,
    secure.offers_inside_tls,
    secure.sasl_cancel,
)
_EVERY: tuple[Check, ...] = (*_CLEAR, clear.http_on_the_port, *_STARTTLS, *_SECURE)


def _group(check: Check) -> str:
    return check.__name__.replace("_", "-")


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("host", help="HOST or HOST:PORT; [ADDRESS]:PORT for IPv6")
    parser.add_argument(
        "--protocol", choices=("imap", "pop3"), help="that of the port if not given"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--tls", action="store_true", help="TLS from the first octet")
    how.add_argument("--starttls", action="store_true", help="TLS by STARTTLS or STLS")
    how.add_argument("--clear", action="store_true", help="no TLS: look at the clear part only")
    parser.add_argument("-m", "--mech", default="", choices=MECHANISMS, help="how to log in")
    parser.add_argument(
        "--binding",
        default=BINDINGS[0],
        choices=BINDINGS,
        help="channel binding for the mechanisms with -PLUS",
    )
    parser.add_argument("-u", "--user", default="", help="log in, too; asks for the password")
    parser.add_argument("--stdin", action="store_true", help="read the password from input")
    parser.add_argument(
        "--ca", default="", metavar="FILE", help="PEM file with authorities to trust"
    )
    parser.add_argument("--name", default="", help="the name to expect in the certificate")
    parser.add_argument(
        "--only",
        action="append",
        metavar="GROUP",
        choices=[_group(each) for each in _EVERY],
        help="make only these checks; may be said more than once",
    )
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds for each step")
    parser.add_argument("--transcript", action="store_true", help="print all that was said")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _run(chosen: Namespace) -> int:
    probe = Probe(_target(chosen), _starttls(chosen), chosen.ca)
    password = _password(chosen) if chosen.user else ""
    try:
        with probe.clear() if probe.has_clear else probe.secure():
            pass
    except (Gone, NoTLS, OSError) as error:
        raise Failed(f"{chosen.host}: {error}") from None
    found = run(probe, (it for it in _checks(probe) if _group(it) in (chosen.only or _group(it))))
    if chosen.user:

        def login(it: Probe) -> Iterator[Finding]:
            return _login(it, chosen, password)

        found += run(probe, iter([login]))
    if chosen.json:
        print(json.dumps(_as_json(probe, found), indent=1, ensure_ascii=False))
    else:
        _print(probe, found, chosen.transcript)
    return 1 if any(each.verdict == BAD for each in found) else 0


def _target(chosen: Namespace) -> Target:
    host, port = _host(chosen.host)
    protocol, implicit = _PORTS.get(port, (chosen.protocol, False))
    protocol = chosen.protocol or protocol or "imap"
    if chosen.tls or chosen.starttls or chosen.clear:
        implicit = chosen.tls
    if not port:
        port = next(it for it, what in _PORTS.items() if what == (protocol, implicit))
    return Target(host, port, protocol, implicit, chosen.timeout, chosen.name)


def _host(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (":" in host and not host.startswith("[")):
        host, port = text, "0"
    if not port.isdecimal() or int(port) > 65535:
        raise Failed(f"{text}: {port!r} is no port")
    return host.strip("[]"), int(port)


def _starttls(chosen: Namespace) -> bool:
    return not chosen.clear and not _target(chosen).implicit


def _password(chosen: Namespace) -> str:
    return sys.stdin.readline().rstrip("\r\n") if chosen.stdin else getpass.getpass("Password: ")


def _checks(probe: Probe) -> Iterator[Check]:
    if probe.has_clear:
        yield from _CLEAR
    yield clear.http_on_the_port
    if probe.starttls:
        yield from _STARTTLS
    if probe.has_tls:
        yield from _SECURE


def _login(probe: Probe, chosen: Namespace, password: str) -> Iterator[Finding]:
    """
    Never in the clear, and never to a server that is not the one it should be.
    """
    if not probe.has_tls:
        yield Finding("login", BAD, "not tried: no password is sent in the clear")
        return
    with probe.secure(verifying(probe.ca)) as (it, secured):
        shown = certificate_of(secured)
        problem = identity_problem(shown, probe.target.expected) if shown else "no certificate"
        if problem:
            yield Finding("login", BAD, f"not tried: {problem}")
            return
        try:
            reply = log_in(it, secured, chosen.mech, chosen.user, password, chosen.binding)
        except Distrusted as error:
            yield Finding("login", BAD, f"broken off: {error}")
        else:
            yield Finding("login", OK if reply.kind == "ok" else BAD, reply.text)


def _as_json(probe: Probe, found: list[Finding]) -> dict[str, object]:
    target = probe.target
    return {
        "host": target.name,
        "port": target.port,
        "protocol": target.protocol,
        "tls": "implicit" if target.implicit else "starttls" if probe.starttls else "none",
        "checks": [
            {"check": each.check, "verdict": each.verdict, "text": each.text} for each in found
        ],
        "transcript": [str(each) for each in probe.transcript],
    }


def _print(probe: Probe, found: list[Finding], transcript: bool) -> None:
    if transcript:
        print("\n".join(map(str, probe.transcript)), end="\n\n")
    width = max((len(each.check) for each in found), default=0)
    for each in found:
        print(f"{each.verdict:4}  {each.check:{width}}  {each.text}")


command = Command(
    "probe",
    "try a mail access server from outside",
    "Try what an attacker would try on a server, this one or anybody's, and say of each check"
    " whether it passed. The exit status is 1 if one is bad.",
    _arguments,
    _run,
)
