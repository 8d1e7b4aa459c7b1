"""
C{twisted.mail.pop3.POP3} under the TLS policy.

    class Site(Factory):
        def buildProtocol(self, address):
            protocol = GuardedPOP3()
            protocol.entrance = entrance
            protocol.factory = self
            return protocol
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.mail.pop3 import POP3, IMailbox
from twisted.python.failure import Failure

from mailaccess.errors import AuthenticationFailed, BadSyntax, Refused
from mailaccess.policy.mechanism import USER_PASS
from mailaccess.protocols.login import TLSPolicyMixin, sasl_dialogue
from mailaccess.protocols.pop3.codes import error_line


class GuardedPOP3(TLSPolicyMixin, POP3):
    """
    What the policy refuses is not offered, and refused before a password is sent.
    """

    def connectionMade(self) -> None:
        """
        PASS and APOP of the base class log in through this portal, and so through the guard.
        """
        self.portal = self.linked_portal(USER_PASS)
        super().connectionMade()

    def listCapabilities(self) -> list[bytes]:
        """
        Only what is permitted now.
        """
        ours = (b"USER", b"SASL")
        words = [each for each in super().listCapabilities() if not each.startswith(ours)]
        if self.decide(USER_PASS).allowed:
            words.append(b"USER")
        mechanisms = self.sasl_mechanisms()
        if mechanisms:
            words.append(b"SASL " + " ".join(mechanisms).encode("ascii"))
        return words

    def do_USER(self, user: bytes) -> Deferred[None]:
        """
        Refuse here, so that the password is never sent.
        """
        return self._in_turn(self._user(user))

    async def _user(self, user: bytes) -> None:
        await self.refuse_name(USER_PASS, user.decode("utf-8", "surrogateescape"))
        super().do_USER(user)

    def do_AUTH(self, mechanism: bytes = b"", initial: bytes | None = None) -> Deferred[None]:
        """
        SASL, which the base class has for CRAM-MD5 only.
        """
        return self._in_turn(self._auth(mechanism, initial))

    async def _auth(self, name: bytes, initial: bytes | None) -> None:
        each = self.sasl_mechanism(name)
        if each is None:
            raise BadSyntax("a mechanism of CAPA")
        self.refuse_early(each.mechanism)
        first = None if initial is None else decoded(initial.removeprefix(b"="))
        login = await sasl_dialogue(self, each, first, self._ask)
        entered = await self.entrance.portal.login(login, None, IMailbox)
        self._cbMailbox(entered, login.name.encode())

    async def _ask(self, challenge: bytes) -> bytes:
        self.sendLine(b"+ " + b64encode(challenge))
        self.state = "AUTH"
        self._answer: Deferred[bytes] = Deferred()
        line = await self._answer
        if line == b"*":
            raise BadSyntax("no cancellation")
        return decoded(line)

    def state_AUTH(self, line: bytes) -> None:
        """
        A line that answers a challenge.
        """
        self.state = "COMMAND"
        self._answer.callback(line)

    def _in_turn(self, work: Coroutine[Any, Any, None]) -> Deferred[None]:
        """
        Commands that come meanwhile wait: also while a rule is looked up in a directory.
        """
        done = Deferred.fromCoroutine(work).addErrback(self._ebMailbox)
        waiting: Deferred[None] = self._longOperation(done)
        return waiting

    def _ebMailbox(self, failure: Failure) -> None:
        """
        The base class comes here with a login that failed, and would show the exception's name.
        """
        error = failure.value
        if isinstance(error, BadSyntax):
            self.failResponse(str(error).encode())
        elif isinstance(error, Refused):
            self.transport.write(error_line(error))
        else:
            super()._ebMailbox(failure)


def decoded(text: bytes) -> bytes:
    """
    What stands in base64.
    """
    try:
        return b64decode(text, validate=True)
    except NotBase64:
        raise AuthenticationFailed(detail="not base64") from None
