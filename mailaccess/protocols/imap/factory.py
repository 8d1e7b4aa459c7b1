"""
Makes IMAP connections: the extensions of a server, collected.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.interfaces import IAddress, IReactorTime

from ...auth.connections import Connections
from ...wire.naming import PLAIN, Naming
from ..factory import MailFactory
from ..limits import Limits
from ..login import Entrance
from ..sweep import Sweep
from .commands import EXTENSIONS
from .registry import Extension, Registry
from .server import IMAPServer


class IMAPFactory(MailFactory):
    """
    The IMAP connections of one listener.

    @ivar extensions: what the server speaks; all there is by default
    @ivar naming: how clients call mailboxes
    """

    def __init__(
        self,
        entrance: Entrance,
        clock: IReactorTime,
        sweep: Sweep,
        limits: Limits | None = None,
        places: Connections | None = None,
        extensions: Sequence[Extension] = EXTENSIONS,
        naming: Naming = PLAIN,
    ) -> None:
        super().__init__(entrance, clock, sweep, limits, places)
        self.registry = Registry(extensions)
        self.naming = naming

    def buildProtocol(self, addr: IAddress | None) -> IMAPServer:  # type: ignore[override]
        """
        One connection.
        """
        return IMAPServer(self, self.registry, self.naming)
