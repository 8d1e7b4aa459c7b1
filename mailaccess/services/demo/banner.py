"""
What the demo says when it starts.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from .site import ACCOUNT, PASSWORD, DemoSite

_BANNER = """\
mailaccess demo, on this machine only

  IMAP   localhost:1143  STARTTLS      IMAPS  localhost:1993  TLS
  POP3   localhost:1110  STLS          POP3S  localhost:1995  TLS

  account   {account}, password {password}
  mail      {maildir}
  settings  {config}

Three commands to try:

{commands}

Ctrl-C ends it."""


def commands(site: DemoSite) -> list[str]:
    """
    Shell commands that show the demo at work: the folders, a message, the list of POP3.
    """
    curl = f"curl --cacert {_shown(site.certificate)} --user {ACCOUNT}:{PASSWORD}"
    return [
        f"{curl} imaps://localhost:1993/",
        f"{curl} --ssl-reqd 'imap://localhost:1143/INBOX;MAILINDEX=1'",
        f"{curl} pop3s://localhost:1995/",
    ]


def banner(site: DemoSite) -> str:
    """
    Addresses, account and three commands that work as printed.
    """
    return _BANNER.format(
        account=ACCOUNT,
        password=PASSWORD,
        maildir=_shown(site.maildir),
        config=_shown(site.config),
        commands="\n".join(f"  {each}" for each in commands(site)),
    )


def _shown(path: Path) -> str:
    """
    As short as it works from here, quoted for a shell.
    """
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
