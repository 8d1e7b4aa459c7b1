"""
A POP3 client that lists and leaves.
"""

from __future__ import annotations

import poplib


def unique_ids(port: int, user: str, password: str) -> list[bytes]:
    """
    What UIDL tells, in a session of its own.
    """
    client = poplib.POP3("127.0.0.1", port, timeout=60)
    client.user(user)
    client.pass_(password)
    found = [line.split()[1] for line in client.uidl()[1]]
    client.quit()
    return found
