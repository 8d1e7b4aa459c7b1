"""
A directory looked at step by step, for its administrator: what a login does, one thing at a time.

Nothing here shows a password: not that of the account that searches, not a user's, not what is
stored.
"""

from __future__ import annotations

import datetime
import ssl
import time
from collections.abc import Iterator

import attrs
from cryptography import x509

from ...errors import AuthorizationFailed, ContactAdmin, PasswordExpired, Refused
from ...interfaces import Identity
from ...policy.link import Layer, Link
from ..gate import AccountGate
from .causes import likely_cause
from .channel import Channel, Connector
from .connection import Entry, Session
from .deadline import Deadline
from .entry import fields_of, identity_of
from .escape import CannotName, bind_name, search_filter
from .faults import Fault, WrongSetup
from .lookup import Lookup
from .options import Connecting, Finding, Target
from .results import PPOLICY, Outcome
from .upstream import Upstreams, read_secret

_SOON = 21
_SKEW = 300
_WORDS = 160


@attrs.frozen
class Step:
    """
    One thing that was tried.

    @ivar cause: what is likely wrong, and what to do; empty if all is well
    """

    name: str
    good: bool
    seconds: float
    text: str
    cause: str = ""


class Examination:
    """
    One server, from its name to the attributes of a user.
    """

    def __init__(
        self,
        connecting: Connecting,
        finding: Finding,
        target: Target,
        user: str = "",
        secret: bytes | None = None,
        default_domain: str = "",
    ) -> None:
        """
        @param user: canonical name to look for
        @param secret: to bind as that user
        """
        self._connecting = attrs.evolve(connecting, uris=(target,))
        self._finding = finding
        self._target = target
        self._user = user
        self._secret = secret
        self._default_domain = default_domain
        self._upstreams = Upstreams(self._connecting)
        self._lookup = Lookup(self._upstreams, finding)
        self._deadline = Deadline(connecting.deadline)
        self._began = 0.0
        self._doing = ""

    def steps(self) -> Iterator[Step]:
        """
        Each as it is done; the first that fails is the last.
        """
        try:
            yield from self._all()
        except (Fault, Refused, CannotName, OSError) as error:
            detail = getattr(error, "detail", "") or str(error)
            detail = detail.removeprefix(f"{self._target.uri}: ")
            cause = likely_cause(self._doing, detail, self._connecting, self._finding)
            yield self._step(detail, cause, good=False)

    def _all(self) -> Iterator[Step]:
        self._begin("resolve")
        connector = self._upstreams.connector
        done: list[Step] = []

        def told(name: str) -> None:
            if done or name != "resolve":
                done.append(self._step(""))
            self._begin(name)

        try:
            channel = connector.open(self._target, self._deadline, told)
        except Fault as fault:
            yield from done
            shown = self._shown() if "certificate" in fault.detail else ""
            raise type(fault)(fault.detail + shown) from None
        done.append(self._step(_tls(channel) if self._doing == "tls" else ""))
        yield from done
        yield from self._certificate(channel)
        session = Session(self._target, channel)
        try:
            yield from self._directory(session)
        finally:
            session.close()

    # ---- certificates ---------------------------------------------------------------------------

    def _certificate(self, channel: Channel) -> Iterator[Step]:
        sock = channel.socket
        der = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
        if der is None:
            return
        self._begin("certificate")
        found = x509.load_der_x509_certificate(der)
        left = found.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
        text = f"for {_names(found)}; good until {found.not_valid_after_utc:%Y-%m-%d}"
        cause = f"expires in {left.days} days: renew it" if left.days < _SOON else ""
        yield self._step(text, cause)

    def _shown(self) -> str:
        """
        What certificate the server has, when it was refused: looked at without believing it;
        nothing else is sent.
        """

        class Looking(Connector):
            def context(self) -> ssl.SSLContext:
                made = ssl.create_default_context()
                made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
                return made

        try:
            channel = Looking(self._connecting).open(self._target, self._deadline)
        except Fault:
            return ""
        try:
            sock = channel.socket
            der = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
            if der is None:
                return ""
            found = x509.load_der_x509_certificate(der)
            return (
                f"; the server shows one for {_names(found)}, issued by"
                f" {found.issuer.rfc4514_string()}, good until"
                f" {found.not_valid_after_utc:%Y-%m-%d}"
            )
        finally:
            channel.close()

    # ---- what LDAP says -------------------------------------------------------------------------

    def _directory(self, session: Session) -> Iterator[Step]:
        options = self._connecting
        self._begin("bind")
        if options.bind == "simple":
            session.bind_service(options.bind_dn, read_secret(options.password_file))
        elif options.bind == "external":
            session.bind_external()
        if options.bind in ("simple", "external"):
            yield self._step(f"as {session.whoami() or options.bind_dn or 'nobody'}")
        else:
            yield self._step("as nobody")
        yield self._server(session)
        if options.bind:
            self._begin("base")
            if self._finding.base:
                session.search(self._finding.base, "(objectClass=*)", "base", (), 1, 5)
                yield self._step(self._finding.base)
            if self._user:
                yield from self._person(session)
        if self._user and self._secret is not None:
            yield from self._login()

    def _server(self, session: Session) -> Step:
        self._begin("server")
        wanted = ("vendorName", "vendorVersion", "supportedControl", "currentTime", "dnsHostName")
        try:
            found, _ = session.search("", "(objectClass=*)", "base", wanted, 1, 5)
        except WrongSetup:
            return self._step("does not tell us what it is, which logins do without")
        entry = found[0] if found else Entry("", {})
        parts = [_first(entry, each) for each in ("vendorName", "vendorVersion", "dnsHostName")]
        if PPOLICY.encode() in entry.values.get("supportedcontrol", ()):
            parts.append("tells about password policy")
        skew = _skew(_first(entry, "currentTime"))
        cause = ""
        if skew is not None:
            parts.append(f"clock {skew:.0f} s apart")
            if skew > _SKEW:
                cause = "the clocks differ: expiry dates are judged by this machine's; mend NTP"
        return self._step(", ".join(each for each in parts if each) or "says nothing of it", cause)

    def _person(self, session: Session) -> Iterator[Step]:
        finding = self._finding
        self._begin("filter")
        dn = bind_name(finding.template, self._user) if finding.way == "template" else ""
        by_dn = dn if "=" in dn else ""
        query = "(objectClass=*)" if by_dn else search_filter(finding.filter, self._user)
        base, scope = (by_dn, "base") if by_dn else (finding.base, finding.scope)
        found, more = session.search(base, query, scope, finding.attributes, 10, 5)
        hits = f"{len(found)}{' or more' if more else ''}"
        text = f"{query} below {base}: {hits} hits"
        if session.referrals:
            text += f", {session.referrals} references to other servers, not followed"
        if len(found) != 1 or more:
            dns = "".join(f"; {each.dn}" for each in found[:3])
            raise WrongSetup(f"{text}{dns}")
        entry = found[0]
        yield self._step(f"{text}: {entry.dn}")
        if finding.groups:
            self._begin("groups")
            if not self._lookup.is_member(session, entry, self._user):
                raise WrongSetup(f"{entry.dn} is in none of {', '.join(finding.groups)}")
            yield self._step("a member")
        yield from self._attributes(entry)

    def _attributes(self, entry: Entry) -> Iterator[Step]:
        finding = self._finding
        self._begin("attributes")
        identity = identity_of(
            entry,
            finding,
            self._user,
            "ldap",
            bound=False,
            default_domain=self._default_domain,
        )
        parts = [f"name {identity.name!r}"]
        parts += [f"home {identity.home!r}"] if identity.home else []
        fields = fields_of(entry, finding, bound=False)
        parts += [f"{key} = {_readable(key, value)}" for key, value in fields.items()]
        missing = [
            each
            for each in (finding.name, *finding.fields.values())
            if each and not entry.values.get(each.lower())
        ]
        if finding.way == "hash":
            secret = entry.values.get(finding.password.lower())
            parts.append(f"{finding.password}: {'there' if secret else 'not to be seen'}")
            missing += [] if secret else [finding.password]
        cause = ""
        closed = _closed(identity)
        if closed:
            cause = f"this account {closed}: nobody logs in with it"
        elif missing:
            cause = (
                f"not there, or not readable for the account that searches: {', '.join(missing)}"
            )
        yield self._step(", ".join(parts), cause)

    def _login(self) -> Iterator[Step]:
        assert self._secret is not None, "asked for"
        self._begin("login")
        if self._finding.way == "hash":
            yield self._step("", "passwords are verified here: try mailaccess auth-test")
            return
        found = self._lookup.login(self._user, self._secret, (), self._deadline)
        if found.verdict.outcome is not Outcome.RIGHT:
            raise WrongSetup(found.verdict.reason)
        if not found.member:
            raise WrongSetup("the password is right; in none of the groups")
        yield self._step(f"the password is right {found.verdict.warning}".rstrip())

    # ---- time -----------------------------------------------------------------------------------

    def _begin(self, name: str) -> None:
        self._doing, self._began = name, time.monotonic()

    def _step(self, text: str, cause: str = "", *, good: bool = True) -> Step:
        spent = time.monotonic() - self._began
        text = "".join(each if each.isprintable() else "?" for each in text)
        return Step(self._doing, good, spent, text, cause)


def _skew(clock: str) -> float | None:
    """
    Seconds between a generalized time and now; None if it is none.
    """
    try:
        told = datetime.datetime.strptime(clock[:14], "%Y%m%d%H%M%S")
    except ValueError:
        return None
    now = datetime.datetime.now(datetime.UTC)
    return abs((now - told.replace(tzinfo=datetime.UTC)).total_seconds())


def _readable(key: str, value: str) -> str:
    """
    A field as an administrator reads it: dates as dates.
    """
    if key == "expires" and value.isdecimal() and len(value) < 12:
        return f"{datetime.datetime.fromtimestamp(int(value), datetime.UTC):%Y-%m-%d %H:%M} UTC"
    return repr(value)


def _closed(identity: Identity) -> str:
    """
    What the account gate would have against anybody with this account.
    """
    try:
        AccountGate(time.time).check(identity, Link("", Layer.UNIX), "")
    except PasswordExpired:
        return "has expired"
    except ContactAdmin:
        return "is disabled"
    except AuthorizationFailed:
        pass  # that depends on the connection
    return ""


def _tls(channel: Channel) -> str:
    sock = channel.socket
    cipher = sock.cipher() if isinstance(sock, ssl.SSLSocket) else None
    return f"{sock.version()} {cipher[0]}" if isinstance(sock, ssl.SSLSocket) and cipher else ""


def _names(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return f"{certificate.subject.rfc4514_string()} (no subjectAltName)"
    return ", ".join(str(each.value) for each in names)[:_WORDS]


def _first(entry: Entry, attribute: str) -> str:
    values = entry.values.get(attribute.lower())
    return values[0].decode("utf-8", "replace") if values else ""


def examine(
    connecting: Connecting,
    finding: Finding,
    user: str = "",
    secret: bytes | None = None,
    default_domain: str = "",
) -> Iterator[tuple[Target, Iterator[Step]]]:
    """
    Every server of a directory.
    """
    for target in connecting.uris:
        one = Examination(connecting, finding, target, user, secret, default_domain)
        yield target, one.steps()
