"""
Settings that are right each by itself and cannot be meant together.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from ipaddress import ip_address

from mailaccess.auth.sasl import MECHANISMS
from mailaccess.wire.naming import INBOX

from . import auditchecks, demands, namespaces, quotas
from .directories import contradicted
from .kinds import LONGEST_SOCKET
from .ldapsettings import LDAPSettings
from .problems import Document
from .settings import ListenerSettings, Settings


def contradictions(document: Document, settings: Settings) -> None:
    """
    Note them in the document.
    """
    for check in _CHECKS:
        check(document, settings)


def _users_are_known(document: Document, settings: Settings) -> None:
    if not settings.users and "users" not in document.data:
        document.wrong(
            ("users",),
            'is missing, nobody could log in; add [[users]] with type = "file" and a path',
        )
    for position, each in enumerate(settings.users):
        if isinstance(each, LDAPSettings):
            contradicted(document, each, ("users", position))


def _tls_has_a_certificate(document: Document, settings: Settings) -> None:
    tls = settings.tls
    if tls.certificate or "certificate" in document.data.get("tls", {}):
        return
    if tls.names:
        document.wrong(
            ("tls", "names"),
            "has no certificate beside it for clients that name no server; add certificate",
        )
    elif tls.key:
        document.wrong(("tls", "key"), "has no certificate beside it; add certificate")
    elif not settings.listener:
        document.wrong(
            ("tls",), 'is missing, and the standard listeners need it; add certificate = "FILE"'
        )
    for position, each in enumerate(settings.listener):
        if each.tls != "none":
            document.wrong(
                ("listener", position, "tls"),
                f'needs a certificate for "{each.tls}"; add certificate to [tls], or write "none"',
            )


def _mechanisms_fit(document: Document, settings: Settings) -> None:
    of_protocol = {
        "imap": {*MECHANISMS, "LOGIN command"},
        "pop3": {*MECHANISMS, "USER", "APOP"},
    }
    readable = any(getattr(each, "clear_text", False) for each in settings.users)
    for position, each in enumerate(settings.listener):
        path = ("listener", position, "mechanisms")
        for name in each.mechanisms:
            if name not in of_protocol.get(each.protocol, {name}):
                document.wrong(
                    path, f'has "{name}", which {each.protocol} does not have; remove it'
                )
        if "APOP" in each.mechanisms and not settings.pop3.apop:
            document.wrong(
                path, 'has "APOP", which is off; add apop = true to [pop3], or remove it'
            )
        for name, text in _lacking(each, settings, readable):
            if name in each.mechanisms:
                document.wrong(path, f'has "{name}", {text}')
    if settings.login.anonymous and not any(
        "ANONYMOUS" in each.mechanisms for each in settings.listener
    ):
        document.wrong(
            ("login", "anonymous"),
            'is used by no listener; add mechanisms = ["ANONYMOUS", ...] to one, or remove it',
        )
    if settings.pop3.apop and not readable:
        document.wrong(
            ("pop3", "apop"),
            "is on, but needs passwords that can be recovered; add clear_text = true to the"
            " [[users]] whose file has {PLAIN} entries",
        )
    offered = any("APOP" in each.mechanisms for each in settings.listener)
    if settings.pop3.apop and not offered:
        document.wrong(
            ("pop3", "apop"),
            'is on, but no listener offers it; add mechanisms = ["USER", "PLAIN", "APOP"] to one',
        )


def _lacking(
    listener: ListenerSettings, settings: Settings, readable: bool
) -> Iterator[tuple[str, str]]:
    """
    Mechanisms that lack something, and what.
    """
    if not readable:
        yield (
            "CRAM-MD5",
            "which needs passwords that can be recovered; add clear_text = true to the [[users]]"
            " whose file has {PLAIN} entries",
        )
    if all(getattr(each, "check", "hash") != "hash" for each in settings.users):
        for name in (each for each in MECHANISMS if each.startswith("SCRAM-")):
            yield (
                name,
                'which needs keys, and no directory here shows them; write check = "hash" where'
                " userPassword has {SCRAM-SHA-256} values, or remove it",
            )
    if not (settings.login.token_keys or settings.login.token_introspection):
        for name in ("OAUTHBEARER", "XOAUTH2"):
            yield (
                name,
                "but nobody's tokens are good; add token_keys or token_introspection to [login]",
            )
    if not settings.login.anonymous:
        yield "ANONYMOUS", "but nobody's mail to show; add anonymous to [login]"
    if listener.client_certificate == "no":
        yield "EXTERNAL", 'but asks for no certificate; add client_certificate = "ask"'
    if not settings.login.certificate_name and not settings.certificate:
        yield (
            "EXTERNAL",
            "but certificates are for nobody; add certificate_name to [login]",
        )


def _tokens_are_for_us(document: Document, settings: Settings) -> None:
    it = settings.login
    keys, asking = it.token_keys, it.token_introspection
    if keys and asking:
        document.wrong(
            ("login", "token_introspection"), "stands beside token_keys; remove one of them"
        )
    wanted: dict[str, tuple[str, ...]] = {
        "token_keys": ("token_issuer", "token_audience") if keys else ()
    }
    wanted["token_introspection"] = ("token_audience",) if asking and not it.token_scope else ()
    for where, options in wanted.items():
        for option in options:
            if not getattr(it, option):
                document.wrong(
                    ("login", where),
                    f"needs {option} beside it, or tokens for others would be good here; add it",
                )
    if not keys and not asking:
        for option in ("token_issuer", "token_audience"):
            if getattr(it, option):
                document.wrong(("login", option), "has no token_keys beside it; add token_keys")
    for option in ("token_client", "token_client_secret_file", "token_scope"):
        if getattr(it, option) and not asking:
            document.wrong(
                ("login", option), "is used by token_introspection only; add that, or remove this"
            )
    if bool(it.token_client) != bool(it.token_client_secret_file):
        there, lacks = "token_client", "token_client_secret_file"
        if not it.token_client:
            there, lacks = lacks, there
        document.wrong(("login", there), f"has no {lacks} beside it; add {lacks}")
    if it.token_ca and not asking and "://" not in keys:
        document.wrong(("login", "token_ca"), "has no address to be used for; remove it")


def _masters_are_somebody(document: Document, settings: Settings) -> None:
    it = settings.login
    if it.administrators_open_disabled and not it.administrators:
        document.wrong(
            ("login", "administrators_open_disabled"),
            "has no administrators beside it; add administrators, or remove it",
        )


def _names_are_unique(document: Document, settings: Settings) -> None:
    seen: dict[str, int] = {}
    for position, each in enumerate(settings.listener):
        if not each.protocol:
            continue
        if each.label in seen:
            first = document.line(("listener", seen[each.label]))
            document.wrong(
                ("listener", position),
                f'is named "{each.label}" like that of line {first}; give it another name',
            )
        seen.setdefault(each.label, position)


def _ports_are_free(document: Document, settings: Settings) -> None:
    taken: list[tuple[str, int, int]] = []
    for position, each in enumerate(settings.listener):
        spots = [_spot(address, each.port_number) for address in each.address]
        for address, port in spots:
            rival = next((it for it in taken if _collide(it, address, port)), None)
            if rival is not None:
                document.wrong(
                    ("listener", position, "port"), _taken(document, rival, address, port)
                )
                break
            taken.append((address, port, position))


def _taken(document: Document, rival: tuple[str, int, int], address: str, port: int) -> str:
    line = document.line(("listener", rival[2]))
    if port == -1:
        return f"wants {address} as the listener of line {line} does; name another socket"
    return f"wants port {port}, which the listener of line {line} has; choose another port"


def _spot(address: str, port: int) -> tuple[str, int]:
    if address.startswith(("systemd:", "unix:")):
        return address, -1
    return ip_address(address).compressed, port


def _collide(taken: tuple[str, int, int], address: str, port: int) -> bool:
    if port == 0 or port != taken[1]:
        return False
    if port == -1:
        return address == taken[0]
    everywhere = "::" if ":" in address else "0.0.0.0"  # noqa: S104 - compared, not bound
    same_family = (":" in address) == (":" in taken[0])
    return address == taken[0] or (same_family and everywhere in (address, taken[0]))


def _systemd_has_no_port(document: Document, settings: Settings) -> None:
    for position, each in enumerate(settings.listener):
        if each.port and all(it.startswith("systemd:") for it in each.address):
            document.wrong(("listener", position, "port"), "is chosen by systemd here; remove it")
        elif each.port and all(it.startswith(("systemd:", "unix:")) for it in each.address):
            document.wrong(("listener", position, "port"), "has no meaning for a socket; remove it")


def _prefix_fits_the_delimiter(document: Document, settings: Settings) -> None:
    mail = settings.mail
    fitting = INBOX + mail.delimiter
    written = document.value(("mail", "delimiter")) or mail.delimiter
    if mail.delimiter == written and mail.prefix not in ("", fitting):
        document.wrong(
            ("mail", "prefix"),
            f'is not INBOX with the delimiter "{mail.delimiter}" behind it; write "{fitting}", or'
            " remove it, or correct delimiter",
        )


def _limits_agree(document: Document, settings: Settings) -> None:
    limits = settings.limits
    if limits.connections_per_ip > limits.connections:
        document.wrong(
            ("limits", "connections_per_ip"),
            f"is more than connections ({limits.connections}); lower it",
        )


def _group_has_a_user(document: Document, settings: Settings) -> None:
    if settings.server.group and not settings.server.user:
        document.wrong(("server", "group"), "has no user beside it; add user")


def _control_has_a_place(document: Document, settings: Settings) -> None:
    if settings.control.path:
        length = len(os.fsencode(settings.control.path))
        if length > LONGEST_SOCKET:
            document.wrong(
                ("control", "path"),
                f"is too long for a socket ({length} octets); use at most {LONGEST_SOCKET}",
            )
    elif "control" in document.data and "path" not in document.data["control"]:
        document.wrong(
            ("control",), 'has no path; add path = "/run/mailaccess/control", or remove the table'
        )


def _expire_is_days(document: Document, settings: Settings) -> None:
    if settings.pop3.expire != "NEVER" and not settings.pop3.expire.isdecimal():
        document.wrong(("pop3", "expire"), 'is no number of days; write "NEVER" or one like "31"')


_CHECKS: tuple[Callable[[Document, Settings], None], ...] = (
    _users_are_known,
    _tls_has_a_certificate,
    *demands.CHECKS,
    _mechanisms_fit,
    _tokens_are_for_us,
    _masters_are_somebody,
    _names_are_unique,
    _ports_are_free,
    _systemd_has_no_port,
    _limits_agree,
    quotas.tables_make_sense,
    quotas.folders_have_names,
    namespaces.tables_make_sense,
    _prefix_fits_the_delimiter,
    _group_has_a_user,
    *auditchecks.CHECKS,
    _control_has_a_place,
    _expire_is_days,
)
