"""
LDAP over a channel: the only place where C{ldap3} talks to servers.

C{ldap3} 2.9.1 is used for requests and answers; its own connecting, TLS, referrals, pools and
restarts are not, because their defaults give passwords away or wait for ever. A L{Session} belongs
to one thread at a time, is bound once and never again as somebody else (LD-02).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import ldap3
from ldap3.core.exceptions import LDAPException, LDAPSessionTerminatedByServerError

from .channel import Channel
from .faults import Closed, NoAnswer, OutOfTime, Unreachable, WrongSetup
from .options import Target
from .results import PPOLICY, Outcome, Verdict, judge

_SCOPES = {"base": ldap3.BASE, "one": ldap3.LEVEL, "subtree": ldap3.SUBTREE}
_WHOAMI = "1.3.6.1.4.1.4203.1.11.3"
_SUCCESS, _SIZE_LIMIT, _NO_SUCH_OBJECT = 0, 4, 32
_DIRECTORY_TROUBLE = frozenset({3, 11, 51, 52, 80})


@attrs.frozen
class Entry:
    """
    What a search found.

    @ivar values: octets by attribute, names in lower case
    """

    dn: str
    values: Mapping[str, Sequence[bytes]] = attrs.field(repr=False)


class Session:
    """
    One connection, one identity.
    """

    def __init__(self, target: Target, channel: Channel) -> None:
        self.target = target
        self.channel = channel
        self.referrals = 0
        self._server = ldap3.Server(
            target.uri if target.scheme == "ldapi" else target.host,
            port=target.port or None,
            get_info=ldap3.NONE,
            allowed_referral_hosts=[],
        )
        self._bound = False
        self._connection = self._on_channel()

    def _on_channel(self, **identity: Any) -> Any:
        """
        An C{ldap3} connection that is already open.
        """
        made = ldap3.Connection(
            self._server,
            client_strategy=ldap3.SYNC,
            auto_bind=ldap3.AUTO_BIND_NONE,
            auto_referrals=False,
            auto_range=False,
            check_names=False,
            raise_exceptions=False,
            lazy=False,
            **identity,
        )
        made.socket, made.closed, made.listening = self.channel, False, True
        made.strategy._outstanding = {}
        return made

    # ---- who we are -----------------------------------------------------------------------------

    def bind(self, dn: str, secret: bytes) -> Verdict:
        """
        Bind as somebody with a password, and find out whether it was right. The password is sent
        once.

        @raise NoAnswer: it was sent, and nothing came back
        """
        if not dn.strip() or not secret:
            # A directory would take either for an anonymous bind and say success (LD-01).
            return Verdict(Outcome.WRONG, "empty name or password: not sent")
        result = self._bind(
            {"user": dn, "password": secret, "authentication": ldap3.SIMPLE}, NoAnswer
        )
        if self.channel.ahead:
            return Verdict(Outcome.UNAVAILABLE, "more than one answer to one bind")
        verdict = judge(result)
        if verdict.outcome is Outcome.RIGHT and not self._bound:
            return Verdict(Outcome.UNAVAILABLE, "success, but not bound")
        return verdict

    def bind_external(self) -> None:
        """
        As whom the server takes us for by our certificate or process (RFC 4513 section 5.2.3).

        @raise WrongSetup: it does not
        """
        self._service_bind(
            {"authentication": ldap3.SASL, "sasl_mechanism": "EXTERNAL", "sasl_credentials": ""},
            "EXTERNAL",
        )

    def bind_service(self, dn: str, secret: bytes) -> None:
        """
        As the account that searches.

        @raise WrongSetup: the directory does not accept it
        """
        if not dn.strip() or not secret:
            raise WrongSetup("the account that searches has no name or no password")
        self._service_bind({"user": dn, "password": secret, "authentication": ldap3.SIMPLE}, dn)

    def _service_bind(self, identity: Mapping[str, Any], who: str) -> None:
        verdict = judge(self._bind(identity, Unreachable))
        if verdict.outcome is Outcome.UNAVAILABLE:
            raise Unreachable(f"{self.target.uri}: bind as {who}: {verdict.reason}")
        if verdict.outcome is not Outcome.RIGHT or not self._bound:
            raise WrongSetup(f"{self.target.uri}: bind as {who} refused: {verdict.reason}")

    def _bind(self, identity: Mapping[str, Any], lost: type[Unreachable]) -> Mapping[str, Any]:
        if self._bound:
            raise RuntimeError("a session is bound once")
        connection = self._connection = self._on_channel(**identity)
        controls = [(PPOLICY, False, None)]

        def bind() -> None:
            self._bound = bool(connection.bind(read_server_info=False, controls=controls))

        try:
            self._do(bind, "bind", lost)
        finally:
            # Not kept where a traceback could show it.
            connection.password = None
        return self._result("bindResponse", lost)

    def _result(self, kind: str, lost: type[Unreachable]) -> Mapping[str, Any]:
        """
        The result, if it is one of what was asked: C{ldap3} takes any.
        """
        result: Mapping[str, Any] = self._connection.result or {}
        if result.get("type") != kind:
            raise lost(f"{self.target.uri}: another answer than {kind}")
        return result

    def whoami(self) -> str | None:
        """
        Who the server says we are (RFC 4532): empty for anonymous, None where it does not tell.
        """
        connection = self._connection
        self._do(lambda: connection.extended(_WHOAMI), "who am I", Unreachable)
        result = self._result("extendedResp", Unreachable)
        if result.get("result") != _SUCCESS:
            return None
        value = result.get("responseValue")
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""

    # ---- looking --------------------------------------------------------------------------------

    def search(
        self, base: str, query: str, scope: str, attributes: Sequence[str], most: int, seconds: int
    ) -> tuple[list[Entry], bool]:
        """
        Entries, and whether there are more than C{most}. References to other servers are counted in
        C{referrals} and not followed (LD-06).

        @param seconds: that the server may take
        @raise WrongSetup: the base does not exist, or may not be searched
        """
        connection = self._connection
        self._do(
            lambda: connection.search(
                base,
                query,
                search_scope=_SCOPES[scope],
                dereference_aliases=ldap3.DEREF_NEVER,
                attributes=[*attributes] or [ldap3.NO_ATTRIBUTES],
                size_limit=most,
                time_limit=max(1, seconds),
            ),
            "search",
            Unreachable,
        )
        result = self._result("searchResDone", Unreachable)
        code, message = result.get("result"), result.get("message") or ""
        said = f"{self.target.uri}: search below {base!r}: result {code} {message[:200]!r}"
        if code == _NO_SUCH_OBJECT:
            raise WrongSetup(f"{said}: there is no such base, or it may not be seen")
        if code == 10:
            raise Unreachable(f"{said}: referral; referrals are not chased")
        if code in _DIRECTORY_TROUBLE:
            raise Unreachable(said)
        if code not in (_SUCCESS, _SIZE_LIMIT):
            raise WrongSetup(said)
        found = []
        for each in connection.response or ():
            if each.get("type") == "searchResRef":
                self.referrals += 1
            elif each.get("type") == "searchResEntry":
                values = each["raw_attributes"].items()
                found.append(Entry(each["dn"], {name.lower(): value for name, value in values}))
        connection.response = None
        return found[:most], code == _SIZE_LIMIT or len(found) > most

    # ---- the end --------------------------------------------------------------------------------

    def close(self, politely: bool = True) -> None:
        """
        Unbind and close; never raises.
        """
        if politely:
            # ldap3's unbind builds the same seven octets by way of pyasn1.
            with contextlib.suppress(OSError, OutOfTime):
                self.channel.sendall(b"\x30\x05\x02\x01\x7f\x42\x00")
        self.channel.close()

    def _do(self, call: Callable[[], object], what: str, lost: type[Unreachable]) -> None:
        """
        One request. C{ldap3} wraps what goes wrong into many kinds; here they are three.
        """
        said = f"{self.target.uri}: {what}"
        try:
            call()
        except OutOfTime:
            raise
        except (LDAPSessionTerminatedByServerError, ConnectionError):
            self._expired()
            raise (lost if lost is NoAnswer else Closed)(f"{said}: connection closed") from None
        except (LDAPException, OSError) as error:
            self._expired()
            text = "no answer in time" if "timed out" in str(error) else type(error).__name__
            raise lost(f"{said}: {text}") from None
        except Exception as error:
            # Answers that are no LDAP make ldap3 fail in any way.
            self._expired()
            raise lost(f"{said}: answer cannot be read ({type(error).__name__})") from None

    def _expired(self) -> None:
        self.channel.deadline.left()
