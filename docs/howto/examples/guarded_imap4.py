"""
C{twisted.mail.imap4.IMAP4Server} under the TLS policy.

    class Site(Factory):
        def buildProtocol(self, address):
            protocol = GuardedIMAP4(contextFactory=certificate.options())
            protocol.entrance = entrance
            return protocol
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Coroutine
from typing import Any

from twisted.cred.credentials import UsernamePassword
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.mail.imap4 import IAccount, IMAP4Server
from twisted.python.failure import Failure

from mailaccess.errors import AuthenticationFailed, BadSyntax, Refused
from mailaccess.policy.mechanism import LOGIN_COMMAND
from mailaccess.policy.rules import is_tls
from mailaccess.protocols.login import TLSPolicyMixin, sasl_dialogue

log = Logger()


class GuardedIMAP4(TLSPolicyMixin, IMAP4Server):
    """
    What the policy refuses is not offered, and refused before a password is sent. One login is
    carried through at a time, and what comes behind STARTTLS is never run.
    """

    failures = 0

    def capabilities(self) -> dict[bytes, list[bytes] | None]:
        """
        Only what is permitted now.
        """
        words: dict[bytes, list[bytes] | None] = {b"NAMESPACE": None, b"IDLE": None}
        words[b"AUTH"] = [each.encode("ascii") for each in self.sasl_mechanisms()]
        if not self.decide(LOGIN_COMMAND).allowed:
            words[b"LOGINDISABLED"] = None
        if self.ctx and self.canStartTLS and not is_tls(self.link):
            words[b"STARTTLS"] = None
        return words

    # ---- STARTTLS -----------------------------------------------------------------------------

    def do_STARTTLS(self, tag: bytes) -> None:
        """
        The base class would run inside TLS what an attacker put behind the command in the clear.
        """
        if self.clearLineBuffer():
            log.warn("{rip} sent something behind STARTTLS", rip=self.link.peer)
            self.transport.loseConnection()
            return
        if is_tls(self.link):
            self.sendBadResponse(tag, b"TLS is there already")
            return
        super().do_STARTTLS(tag)
        self.link_changed()

    unauth_STARTTLS = (do_STARTTLS,)  # noqa: N815 - Twisted looks for it

    # ---- logins -------------------------------------------------------------------------------

    def dispatchCommand(self, tag: bytes, cmd: bytes, rest: Any, uid: Any = None) -> None:
        """
        LOGIN is refused here where nobody may use it: before a literal is asked for.
        """
        if cmd == b"LOGIN" and self.state == "unauth":
            try:
                self.refuse_early(LOGIN_COMMAND)
            except Refused as refused:
                self._refuse(tag, refused)
                return
        super().dispatchCommand(tag, cmd, rest, uid)

    def do_LOGIN(self, tag: bytes, user: bytes, passwd: bytes) -> None:
        """
        Ask the policy about the person, too, and then the portal.
        """
        self._in_turn(tag, self._login(user, passwd))

    unauth_LOGIN = (  # noqa: N815
        do_LOGIN,
        IMAP4Server.arg_astring,
        IMAP4Server.arg_finalastring,
    )

    async def _login(self, user: bytes, passwd: bytes) -> Any:
        await self.refuse_name(LOGIN_COMMAND, user.decode("utf-8", "surrogateescape"))
        portal = self.linked_portal(LOGIN_COMMAND)
        return await portal.login(UsernamePassword(user, passwd), None, IAccount)

    def words(self, line: bytes) -> tuple[bytes, bytes]:
        """
        All that stands behind AUTHENTICATE: the mechanism, and an initial response if there is one.
        """
        return line, b""

    def do_AUTHENTICATE(self, tag: bytes, words: bytes) -> None:
        """
        Any SASL mechanism that the entrance has.
        """
        name, space, initial = words.partition(b" ")
        self._in_turn(tag, self._authenticate(name, initial if space else None))

    unauth_AUTHENTICATE = (do_AUTHENTICATE, words)  # noqa: N815

    async def _authenticate(self, name: bytes, initial: bytes | None) -> Any:
        each = self.sasl_mechanism(name)
        if each is None:
            raise BadSyntax("a mechanism of CAPABILITY")
        self.refuse_early(each.mechanism)
        first = None if initial is None else decoded(initial.removeprefix(b"="))
        login = await sasl_dialogue(self, each, first, self._ask)
        return await self.entrance.portal.login(login, None, IAccount)

    async def _ask(self, challenge: bytes) -> bytes:
        answer: Deferred[bytes] = Deferred()
        self._pendingLiteral = answer
        self.parseState = "pending"
        self.sendLine(b"+ " + b64encode(challenge))
        self._unblock()
        line = await answer
        self.blocked = []
        if line == b"*":
            raise BadSyntax("no cancellation")
        return decoded(line)

    def _in_turn(self, tag: bytes, work: Coroutine[Any, Any, Any]) -> None:
        """
        Commands that come meanwhile wait: also while a directory is asked.
        """
        self.blocked = []
        done = Deferred.fromCoroutine(work)
        done.addCallbacks(self._entered, self._failed, (tag,), None, (tag,), None)
        done.addBoth(lambda _: self._unblock())

    def _entered(self, entered: Any, tag: bytes) -> None:
        _, self.account, self._onLogout = entered
        self.state = "auth"
        self.setTimeout(self.POSTAUTH_TIMEOUT)
        self.sendPositiveResponse(tag, b"Logged in")

    def _failed(self, failure: Failure, tag: bytes) -> None:
        error = failure.value
        if isinstance(error, BadSyntax):
            self.sendBadResponse(tag, str(error).encode())
        elif isinstance(error, Refused):
            self._refuse(tag, error)
        else:
            log.failure("login failed", failure)
            self.sendNegativeResponse(tag, b"[SERVERBUG] Internal error")
        self.failures += 1
        if self.failures >= self.entrance.attempts:
            self.sendUntaggedResponse(b"BYE Too many failed logins")
            self.transport.loseConnection()

    def _refuse(self, tag: bytes, refused: Refused) -> None:
        code = f"[{refused.code}] " if refused.code else ""
        self.sendNegativeResponse(tag, f"{code}{refused.public}".encode())


def decoded(text: bytes) -> bytes:
    """
    What stands in base64.
    """
    try:
        return b64decode(text, validate=True)
    except NotBase64:
        raise AuthenticationFailed(detail="not base64") from None
