"""
What is wrong with the tables that make the policy seen, alone and together. What they name is
looked at by L{mailaccess.services.audit.look}.
"""

from __future__ import annotations

from collections.abc import Callable

from .problems import Document
from .settings import Settings


def _needs_a_database(document: Document, settings: Settings) -> None:
    if settings.audit.database or "database" in document.data.get("audit", {}):
        return
    way_out = 'add database = "/var/lib/mailaccess/audit.db" to [audit]'
    if "audit" in document.data:
        document.wrong(("audit",), f"keeps nothing; {way_out}, or remove the table")
    if settings.shadow.policy:
        document.wrong(("shadow", "policy"), f"has nowhere to write what it finds; {way_out}")
    if settings.ratchet.after:
        document.wrong(("ratchet", "after"), f"has nowhere to keep whom it holds; {way_out}")


def _says_something(document: Document, settings: Settings) -> None:
    if settings.ratchet.exempt and not settings.ratchet.after:
        document.wrong(
            ("ratchet", "exempt"), 'has no meaning while it is off; add after = "30d", or remove it'
        )
    for name, option, example in (
        ("shadow", "policy", '"/etc/mailaccess/next.toml"'),
        ("ratchet", "after", '"30d"'),
        ("metrics", "listen", '"127.0.0.1:9143"'),
    ):
        if name in document.data and option not in document.data[name]:
            document.wrong((name,), f"does nothing; add {option} = {example}, or remove the table")


CHECKS: tuple[Callable[[Document, Settings], None], ...] = (_needs_a_database, _says_something)
