"""
C{mailaccess import-policy FILE...}: what another server's configuration says of TLS and logins, in
ours.

One module per server reads files to L{Carried}; what could not be carried over is said.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence

from ..command import Command, Failed
from . import courier, cyrus, dovecot
from .carried import Carried, render

READERS: Mapping[str, Callable[[Sequence[str]], Carried]] = {
    "cyrus": cyrus.read,
    "dovecot": dovecot.read,
    "courier": courier.read,
}


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("server", choices=tuple(READERS), help="whose configuration it is")
    parser.add_argument(
        "file",
        nargs="+",
        help="cyrus: imapd.conf and cyrus.conf; dovecot: the output of doveconf -n; courier: imapd,"
        " imapd-ssl, pop3d, pop3d-ssl",
    )


def _run(chosen: Namespace) -> int:
    texts = []
    for path in chosen.file:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                texts.append(file.read())
        except OSError as error:
            raise Failed(f"{path}: {error.strerror}") from None
    print("\n".join(render(READERS[chosen.server](texts))))
    return 0


command = Command(
    "import-policy",
    "say another server's policy in ours",
    "Read what the configuration of Cyrus, Dovecot or Courier says of TLS and logins; print tables"
    " for our configuration, and what could not be carried over as comments.",
    _arguments,
    _run,
)
