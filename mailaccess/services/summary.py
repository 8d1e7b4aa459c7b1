"""
The policy of a configuration in a few lines for people, and what in it is weak.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_network

from mailaccess.policy.rules import day_over

from .policies import WORDS
from .settings import ListenerSettings, RuleSettings, Settings
from .sockets import UNIX, is_loopback

SOON = 30 * 86400
"""Exceptions that lapse within so many seconds are warned of."""

_TLS = {"implicit": "TLS from the start", "starttls": "TLS by command", "none": "no TLS"}
_CLEARTEXT = {
    "refuse": "passwords over private connections only",
    "report": "passwords in the clear taken and reported",
    "allow": "passwords in the clear taken",
}


def policy_lines(settings: Settings) -> list[str]:
    """
    One line for all listeners that are alike, and one for the rules.
    """
    alike: dict[str, list[str]] = {}
    for each in settings.listeners:
        alike.setdefault(_demands(each), []).append(f"{each.label} ({_places(each)})")
    lines = [f"{', '.join(names)}: {demands}" for demands, names in alike.items()]
    if settings.rule:
        open_ones = [each for each in settings.rule if _opens(each)]
        lines.append(
            f"{_count(len(settings.rule), 'rule')} for users,"
            f" {_count(len(open_ones), 'exception')} among them"
        )
    return lines


def _places(it: ListenerSettings) -> str:
    sockets = [each.removeprefix(UNIX) for each in it.address if each.startswith(UNIX)]
    port = [str(it.port_number)] if len(sockets) < len(it.address) else []
    return ", ".join([*port, *sockets])


def _demands(it: ListenerSettings) -> str:
    parts = [_TLS[it.tls]]
    if it.minimum_tls:
        parts.append(f"TLS {it.minimum_tls} or newer for any login")
    if it.minimum_layer:
        parts.append(f"{it.minimum_layer} bits for any login")
    if it.tls != "implicit":
        parts.append(_CLEARTEXT[it.cleartext])
    if it.client_certificate == "require":
        parts.append("client certificates required")
    if it.proxies:
        counts = "" if "proxy-tls" in it.private else ", whose TLS does not count"
        parts.append(f"behind proxies ({', '.join(it.proxies)}){counts}")
    if without := [each for each in it.private if each != "proxy-tls"]:
        parts.append(f"private without TLS: {', '.join(without)}")
    if it.exceptions:
        parts.append("exceptions for users")
    if it.mechanisms:
        parts.append(f"only {', '.join(it.mechanisms)}")
    return "; ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number or 'no'} {what}s"


def _opens(rule: RuleSettings) -> bool:
    return rule.cleartext in ("allow", "report")


def weaknesses(settings: Settings, now: float) -> list[str]:
    """
    What an administrator should look at; each begins with where it is written.

    @param now: seconds since 1970
    """
    found = []
    for listener in settings.listeners:
        found += [f"{listener.source}: {listener.label} {text}" for text in _weak(listener)]
    for rule in settings.rule:
        whom = ", ".join([*rule.users, *(f"group {each}" for each in rule.groups)])
        owner = f", owner {rule.owner}" if rule.owner else ""
        found += [
            f"{rule.source}: the exception for {whom} {text}{owner}" for text in _lapses(rule, now)
        ]
    return found


def _weak(it: ListenerSettings) -> Iterator[str]:
    if it.cleartext != "refuse" and not all(is_loopback(each) for each in it.address):
        yield "takes passwords in the clear, whoever listens; users need a rule to be refused"
    for word in it.private:
        if word not in WORDS and not ip_network(word).is_private:
            yield f"trusts {word}, which is part of the public Internet"


def _lapses(rule: RuleSettings, now: float) -> Iterator[str]:
    if not _opens(rule):
        return
    if not rule.until:
        yield "has no end; add until"
        return
    over = day_over(rule.until)
    if now >= over:
        yield f"ended on {rule.until} and refuses now; renew or remove it"
    elif over - now <= SOON:
        today = datetime.fromtimestamp(now, UTC).date()
        days = (datetime.strptime(rule.until, "%Y-%m-%d").date() - today).days
        yield f"ends on {rule.until}, in {_count(days, 'day') if days else 'no time'}"
