"""
C{mailaccess reload}: what SIGHUP does, for those who may use the control socket.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from . import server
from .command import Command


def _arguments(parser: ArgumentParser) -> None:
    server.add_arguments(parser)


def _run(chosen: Namespace) -> int:
    list(server.asked(chosen, "reload"))
    print("reloading; the log says what comes of it")
    return 0


command = Command(
    "reload",
    "have the running server read its certificates and its policy again",
    "Have the running server read its certificates and the policy of its configuration again,"
    " forget remembered passwords and open its log file anew, as on SIGHUP. No session ends.",
    _arguments,
    _run,
)
