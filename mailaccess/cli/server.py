"""
What the commands that speak to a running server have in common: where its control socket is, and
how sessions are shown.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mailaccess.services.config import load
from mailaccess.services.control.asking import NoAnswer, ask

from .command import Failed

CONFIG = "/etc/mailaccess/mailaccess.toml"


def add_arguments(parser: ArgumentParser) -> None:
    """
    Which server.
    """
    parser.add_argument(
        "-c",
        "--config",
        default=CONFIG,
        metavar="FILE",
        help="its configuration (default: %(default)s)",
    )
    parser.add_argument(
        "--socket",
        default="",
        metavar="PATH",
        help="its control socket, instead of a configuration",
    )


def asked(chosen: Namespace, kind: str, **words: str) -> Iterator[dict[str, Any]]:
    """
    The items of the server's answer.

    @raise Failed: it does not answer
    """
    path = chosen.socket or _configured(chosen.config)
    try:
        yield from ask(path, kind, **words)
    except NoAnswer as error:
        raise Failed(str(error)) from None


def _configured(config: str) -> str:
    path = load(config).control.path
    if not path:
        raise Failed(
            f"{config}: [control] has no path, so nobody can speak to the server; add path ="
            ' "/run/mailaccess/control" and start it again'
        )
    return path


_COLUMNS = (
    ("session", "session"),
    ("user", "user"),
    ("by", "actor"),
    ("protocol", "service"),
    ("listener", "listener"),
    ("from", "peer"),
    ("tls", "tls"),
    ("method", "mechanism"),
    ("since", "seconds"),
    ("idle", "idle"),
    ("mailbox", "mailbox"),
    ("client", "client"),
)


def table(items: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """
    Sessions as lines with a head; columns in which nothing stands are left out.
    """
    rows = [[_cell(key, each[key]) for _, key in _COLUMNS] for each in items]
    if not rows:
        return
    head = [title for title, _ in _COLUMNS]
    kept = [at for at in range(len(head)) if any(row[at] for row in rows)]
    widths = {at: max(len(row[at]) for row in [head, *rows]) for at in kept}
    for row in [head, *rows]:
        yield _joined(row, kept, widths)


def _joined(row: Sequence[str], kept: Sequence[int], widths: Mapping[int, int]) -> str:
    return "  ".join(row[at].ljust(widths[at]) for at in kept).rstrip()


def _cell(key: str, value: Any) -> str:
    if key in ("seconds", "idle"):
        return _duration(int(value))
    # Names of mailboxes and clients come from outside: nothing in them reaches a terminal.
    return "".join(each if each.isprintable() else "?" for each in str(value))


def _duration(seconds: int) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
