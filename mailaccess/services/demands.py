"""
Contradictions in what listeners and rules demand of a login.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from mailaccess.auth.sasl import MECHANISMS
from mailaccess.policy.mechanism import Exposes
from mailaccess.policy.tls import Verdict

from .kinds import nearest
from .problems import Document
from .settings import ListenerSettings, RuleSettings, Settings

PROXY_TLS = "proxy-tls"
HIDING = frozenset(
    ["APOP"]
    + [
        name
        for name, each in MECHANISMS.items()
        if each.mechanism.exposes is not Exposes.PASSWORD and not each.mechanism.binds
    ]
)
"""Mechanisms by which somebody may log in where nothing is private."""


def _listeners(document: Document, settings: Settings) -> None:
    for position, each in enumerate(settings.listener):
        for option, text in [*_meaningless(each), *_unreachable(each), *_nobody(each)]:
            document.wrong(("listener", position, option), text)


def _meaningless(it: ListenerSettings) -> Iterator[tuple[str, str]]:
    """
    Options of one listener that another one makes void.
    """
    open_to = f'"{it.cleartext}"'
    demanded = next((each for each in ("minimum_tls", "minimum_layer") if getattr(it, each)), "")
    if it.tls == "implicit":
        way = 'has no meaning with tls = "implicit", where'
        if it.cleartext != "refuse":
            yield "cleartext", f"{way} nothing is in the clear; remove it"
        if set(it.private) - {PROXY_TLS}:
            yield "private", f"{way} all are private; remove it"
        if it.exceptions and not demanded:
            yield "exceptions", f"{way} nothing is in the clear; remove it"
    elif demanded and it.cleartext != "refuse":
        yield demanded, f"has no meaning with cleartext = {open_to}; remove one of the two"
    if it.minimum_tls and set(it.private) - {PROXY_TLS}:
        yield "private", "has no meaning with minimum_tls, which asks them for TLS, too; remove it"
    if it.cleartext == "allow" and it.exceptions:
        yield (
            "exceptions",
            'has no meaning with cleartext = "allow"; remove it, or write cleartext = "refuse"',
        )
    if it.tls == "none" and it.client_certificate != "no" and not it.proxies:
        yield "client_certificate", 'comes with TLS only; remove it, or write tls = "starttls"'


def _unreachable(it: ListenerSettings) -> Iterator[tuple[str, str]]:
    """
    Words for connections that the listener does not have.
    """
    sockets = any(each.startswith(("unix:", "systemd:")) for each in it.address)
    for option in ("private", "proxies"):
        if "unix" in getattr(it, option) and not sockets:
            yield option, 'has "unix", but no unix socket; add one to address, or remove it'
    if PROXY_TLS in it.private and not it.proxies:
        yield "private", 'has "proxy-tls", but there are no proxies; add proxies, or remove it'
    if it.socket_group and not any(each.startswith("unix:") for each in it.address):
        yield "socket_group", 'has no socket; add "unix:/PATH" to address, or remove it'


def _nobody(it: ListenerSettings) -> Iterator[tuple[str, str]]:
    """
    Options that leave nobody.
    """
    if it.tls != "none" or it.exceptions:
        return
    if it.minimum_tls and PROXY_TLS not in it.private:
        yield "minimum_tls", 'asks for TLS, which is not there; write tls = "starttls"'
    elif it.minimum_layer and not it.private:
        yield "minimum_layer", 'asks for a layer, which is not there; write tls = "starttls"'
    elif it.cleartext == "refuse" and not it.private and not HIDING.intersection(it.mechanisms):
        yield (
            "tls",
            'refuses every password here, nobody could log in; write "starttls",'
            ' or private = ["loopback"]',
        )


def _certificates_are_verified(document: Document, settings: Settings) -> None:
    asking = [
        position
        for position, each in enumerate(settings.listener)
        if each.client_certificate != "no"
    ]
    if settings.tls.client_ca and not asking:
        document.wrong(
            ("tls", "client_ca"),
            'is used by no listener; add client_certificate = "ask" to one, or remove it',
        )
    if asking and not settings.tls.client_ca:
        for position in asking:
            document.wrong(
                ("listener", position, "client_certificate"),
                "cannot be verified; add client_ca to [tls]",
            )


def _rules_say_something(document: Document, settings: Settings) -> None:
    for position, rule in enumerate(settings.rule):
        path = ("rule", position)
        table = document.data["rule"][position]
        for option in ("users", "groups"):
            if option in table and not getattr(rule, option) and table[option] in ([], ""):
                document.wrong(
                    (*path, option), 'is for nobody; write names, or users = "*" for everybody'
                )
        if "users" not in table and "groups" not in table:
            document.wrong(path, "has no users; add users (array of names or patterns), or groups")
        if not _OPTIONS.intersection(table):
            document.wrong(path, 'says nothing; add cleartext = "refuse", or another demand')
        if rule.until and rule.cleartext not in ("allow", "report"):
            document.wrong(
                (*path, "until"), 'ends an exception, and this is none; add cleartext = "allow"'
            )


_OPTIONS = frozenset({"cleartext", "minimum_tls", "mechanisms", "client_certificate"})


def _rules_reach_somebody(document: Document, settings: Settings) -> None:
    listeners: Mapping[str, ListenerSettings] = {it.label: it for it in settings.listeners}
    for position, rule in enumerate(settings.rule):
        path = ("rule", position)
        unknown = [each for each in rule.listeners if each not in listeners]
        for each in unknown:
            document.wrong(
                (*path, "listeners"), f'has no listener named "{each}"; {nearest(each, listeners)}'
            )
        if not unknown:
            for option, text in _out_of_reach(rule, listeners):
                document.wrong((*path, option), text)


def _out_of_reach(
    rule: RuleSettings, listeners: Mapping[str, ListenerSettings]
) -> Iterator[tuple[str, str]]:
    """
    What a rule says and no listener that it is for lets it say.
    """
    if rule.cleartext and rule.cleartext != "refuse":
        for name in rule.listeners:
            if not permits(listeners[name], rule.cleartext):
                yield (
                    "cleartext",
                    f'is not permitted by the listener "{name}"; add exceptions = true to it',
                )
        if not rule.listeners and not any(permits(it, rule.cleartext) for it in listeners.values()):
            yield "cleartext", "is not permitted by any listener; add exceptions = true to one"
    if rule.client_certificate == "require":
        for name in rule.listeners or listeners:
            if listeners[name].client_certificate == "no":
                yield (
                    "client_certificate",
                    f'can be shown to no one by the listener "{name}"; add client_certificate ='
                    ' "ask" to it, or name other listeners',
                )


def permits(listener: ListenerSettings, cleartext: str) -> bool:
    """
    Whether what a rule or a record says for C{cleartext} has an effect on a listener.
    """
    if listener.exceptions:
        return True
    demanded = listener.minimum_tls or listener.minimum_layer
    return not demanded and Verdict(cleartext).openness <= Verdict(listener.cleartext).openness


CHECKS: tuple[Callable[[Document, Settings], None], ...] = (
    _listeners,
    _certificates_are_verified,
    _rules_say_something,
    _rules_reach_somebody,
)
