"""
The command C{mailaccess}: a table of subcommands, each a module with a L{Command} in it.

A new one is a new module and a line in L{commands}.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from mailaccess import __version__
from mailaccess.errors import ConfigurationErrors

from .command import Command, Failed


def commands() -> Sequence[Command]:
    """
    All subcommands, in the order of the help.
    """
    from . import (
        adopt,
        audit,
        auth_test,
        check,
        explain,
        foreign,
        fsck,
        importing,
        kick,
        ldap_doctor,
        matrix,
        options,
        passwd,
        policydiff,
        probe,
        quota,
        ratchet,
        release,
        reload,
        shadow,
        who,
    )

    return (
        check.command,
        explain.command,
        matrix.command,
        policydiff.command,
        foreign.command,
        probe.command,
        audit.command,
        shadow.command,
        ratchet.command,
        ldap_doctor.command,
        auth_test.command,
        passwd.command,
        fsck.command,
        quota.command,
        adopt.command,
        release.command,
        importing.command,
        who.command,
        kick.command,
        reload.command,
        options.command,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run one subcommand.

    @param arguments: those of the process if None
    @return: exit status: 0 well, 1 something is wrong, 2 used wrongly
    """
    parser = argparse.ArgumentParser(
        prog="mailaccess", description="Look after a mail access server."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    table = parser.add_subparsers(metavar="COMMAND", required=True)
    for each in commands():
        one = table.add_parser(each.name, help=each.help, description=each.description)
        each.add_arguments(one)
        one.set_defaults(run=each.run)
    chosen = parser.parse_args(arguments)
    try:
        status: int = chosen.run(chosen)
        sys.stdout.flush()
    except (Failed, ConfigurationErrors) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read, such as `head`, has enough; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status
