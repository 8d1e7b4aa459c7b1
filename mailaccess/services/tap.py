"""
What C{twist mailaccess} and C{twistd mailaccess} call: options in, a service out.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

from twisted.python.usage import Options as TwistedOptions
from twisted.python.usage import UsageError

from mailaccess.errors import ConfigurationErrors

from .certificates import BrokenCertificates
from .config import load
from .demo.banner import banner
from .demo.site import make_demo
from .logs import LINES, LogWriter
from .settings import LogSettings
from .site import Lifetime, MailService
from .sockets import Inherited
from .transport import lean

DEMO = "demo"
"""Directory of the demo, below the one it is started in."""


class Options(TwistedOptions):
    """
    The command line.
    """

    synopsis = "[--config FILE | --demo]"
    optParameters = [["config", "c", None, "Serve what this configuration file says."]]  # noqa: N815 - the contract of twisted.python.usage
    optFlags = [["demo", None, f"Serve a demo account on loopback; its files are in ./{DEMO}."]]  # noqa: N815

    def postOptions(self) -> None:
        """
        One of the two has to be there.
        """
        if bool(self["config"]) == bool(self["demo"]):
            raise UsageError("Give --config FILE or --demo.")


def makeService(options: Any) -> MailService:
    """
    The service for a command line.

    @raise SystemExit: the configuration cannot be used; the text has all reasons
    """
    from twisted.internet import reactor

    try:
        demo = make_demo(Path(DEMO)) if options["demo"] else None
        path = os.path.abspath(demo.config if demo else options["config"])
        settings = load(path)
        writer = _log_through(getattr(options, "parent", None) or {}, settings.log)
        service = MailService(
            settings,
            reactor,
            inherited=Inherited.from_environment(),
            log_writer=writer,
            read=lambda: load(path),
        )
    except (ConfigurationErrors, BrokenCertificates) as error:
        raise SystemExit(f"{error}\nmailaccess: not started") from None
    except OSError as error:
        raise SystemExit(f"mailaccess: {error}") from None
    lean(reactor)
    # A full collection looks at every object there is while nobody else runs: with the rows of a
    # big mailbox in the making, a tenth of a second, several times. Little here is in cycles.
    gc.set_threshold(700, 50, 100)
    if demo is not None:
        # After the listeners: what it promises has to be true.
        said = Lifetime(lambda: print(banner(demo), flush=True))
        said.setServiceParent(service)  # type: ignore[no-untyped-call]
    return service


def _log_through(parent: Any, settings: LogSettings) -> LogWriter:
    """
    Our lines in place of those that twist or twistd would write, to the file that C{[log]} names,
    else to where they would have gone.
    """
    line = LINES[settings.format]
    if "fileLogObserverFactory" in parent:
        writer = LogWriter(line, parent["logFile"], settings.file, settings.repeats)
        parent["fileLogObserverFactory"] = lambda _stream: writer
        return writer
    daemon = not parent.get("nodaemon", True)
    path = settings.file or parent.get("logfile") or ("twistd.log" if daemon else "")
    return LogWriter(line, sys.stdout, "" if path == "-" else path, settings.repeats)
