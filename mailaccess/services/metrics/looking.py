"""
What a site is like at the moment: connections, sessions, directories, certificates, the audit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ..audit.service import Audit
from .numbers import gauge


def look(
    connections: Iterable[Any], directories: Iterable[Any], certificates: Any, audit: Audit
) -> Iterator[Metric]:
    """
    All of it.

    @param connections: a L{mailaccess.protocols.connection.MailConnection} each
    @param directories: an L{LDAPChecker<mailaccess.auth.ldap.directory.LDAPChecker>} each
    @param certificates: those in use, or None
    """
    opened: Counter[str] = Counter()
    users: Counter[str] = Counter()
    for each in connections:
        opened[each.entrance.listener] += 1
        users[each.entrance.listener] += each.logged_in
    yield gauge("mailaccess_connections", "Open connections.", "listener", opened.items())
    yield gauge(
        "mailaccess_sessions", "Those of them that are logged in.", "listener", users.items()
    )
    yield gauge(
        "mailaccess_directory_up",
        "Whether a server of a directory is asked (1) or left out (0).",
        "server",
        (
            (server.uri, 0 if server.down else 1)
            for each in directories
            for server in each.upstreams.servers
        ),
    )
    if certificates is not None:
        found = {"": certificates.default, **certificates.names}
        yield gauge(
            "mailaccess_certificate_expiry_seconds",
            "When a certificate ends, in seconds since 1970; the default one has no name.",
            "name",
            ((name, each.expires.timestamp()) for name, each in sorted(found.items())),
        )
    if audit.keeper is not None:
        dropped = CounterMetricFamily(
            "mailaccess_audit_dropped", "Rows that the audit database could not take."
        )
        dropped.add_metric([], audit.keeper.dropped)
        yield dropped
    if audit.ratchet.after:
        held = GaugeMetricFamily("mailaccess_ratchet_users", "Users whom the ratchet holds to TLS.")
        held.add_metric([], len(audit.ratchet))
        yield held
