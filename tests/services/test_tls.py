"""
Handshakes of the standard library's clients with our contexts.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import warnings
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher

from mailaccess.protocols.tlsfacts import link_facts
from mailaccess.services.certificates import load_certificates
from mailaccess.services.settings import TLSSettings
from mailaccess.services.tls import NoCommonProtocol, ServerTLS

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture
def tls(pem: Path) -> ServerTLS:
    return ServerTLS(TLSSettings(certificate=str(pem)), Clock())


@pytest.fixture
def events() -> Any:
    kept: list[LogEvent] = []
    globalLogPublisher.addObserver(kept.append)
    yield kept
    globalLogPublisher.removeObserver(kept.append)


@pytest.mark.parametrize("version", [V12, V13])
def test_both_current_versions_work_and_the_facts_tell_them(
    tls: ServerTLS, talk: Any, client: Any, version: ssl.TLSVersion
) -> None:
    """TLS-14."""
    it = talk(tls.factory_for("imap"), client(least=version, most=version))
    assert link_facts(it.server) is None
    it.handshake()
    facts = link_facts(it.server)
    assert facts is not None
    assert facts.version == {V12: "TLSv1.2", V13: "TLSv1.3"}[version]
    assert facts.version == it.client.version()
    assert facts.cipher == it.client.cipher()[0]
    assert facts.bits >= 128
    assert facts.certificate == ""
    it.client.write(b"hello")
    it.pump()
    assert it.recorder.received == b"hello"


def test_old_versions_are_refused(tls: ServerTLS, talk: Any, client: Any) -> None:
    """TLS-14: 1.1 and 1.0 get no handshake, whatever ciphers they bring."""
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context = client(least=version, most=version, ciphers="ALL:@SECLEVEL=0")
        it = talk(tls.factory_for("imap"), context)
        with pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|protocol version"):
            it.handshake()
        assert it.recorder.reason is not None


def test_the_cipher_that_the_rfc_names_is_there_and_weak_ones_are_not(
    tmp_path: Path, talk: Any, client: Any, certificate_writer: Any, rsa_key: Any
) -> None:
    """TLS-14, RFC 9051 section 11.1: with an RSA key."""
    certificate_writer(tmp_path / "rsa.pem", "mail.example.org", key=rsa_key)
    tls = ServerTLS(TLSSettings(certificate=str(tmp_path / "rsa.pem")), Clock())
    it = talk(tls.factory_for("imap"), client(most=V12, ciphers="ECDHE-RSA-AES128-GCM-SHA256"))
    it.handshake()
    assert it.client.cipher()[0] == "ECDHE-RSA-AES128-GCM-SHA256"
    for weak in ("AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256", "AES128-SHA", "ADH-AES128-SHA256"):
        it = talk(tls.factory_for("imap"), client(most=V12, ciphers=weak + ":@SECLEVEL=0"))
        with pytest.raises(ssl.SSLError):
            it.handshake()


def test_the_own_alpn_name_is_taken(tls: ServerTLS, talk: Any, client: Any) -> None:
    """TLS-17."""
    it = talk(tls.factory_for("imap"), client("http/1.1", "imap"))
    it.handshake()
    assert it.client.selected_alpn_protocol() == "imap"


def test_clients_without_alpn_are_served(tls: ServerTLS, talk: Any, client: Any) -> None:
    """TLS-17."""
    it = talk(tls.factory_for("pop3"), client())
    it.handshake()
    assert it.client.selected_alpn_protocol() is None


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("offered", [("http/1.1",), ("imap",)])
def test_only_other_alpn_names_end_the_handshake_with_the_alert(
    tls: ServerTLS, talk: Any, client: Any, version: ssl.TLSVersion, offered: tuple[str, ...]
) -> None:
    """TLS-17: a page in a browser, or a client of IMAP, gets nothing from the POP3 port."""
    it = talk(tls.factory_for("pop3"), client(*offered, least=version, most=version))
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        it.handshake()
    assert it.recorder.reason.check(NoCommonProtocol)
    assert it.recorder.received == b""


@pytest.fixture
def named(tmp_path: Path, certificate_writer: Any) -> ServerTLS:
    certificate_writer(tmp_path / "server.pem", "mail.example.org")
    (tmp_path / "names").mkdir()
    certificate_writer(tmp_path / "names" / "imap.example.net.pem", "imap.example.net")
    certificate_writer(tmp_path / "names" / "*.example.com.pem", "*.example.com")
    return ServerTLS(
        TLSSettings(certificate=str(tmp_path / "server.pem"), names=str(tmp_path / "names")),
        Clock(),
    )


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("imap.example.net", "imap.example.net"),
        ("IMAP.Example.NET", "imap.example.net"),
        ("a.example.com", "*.example.com"),
        ("a.b.example.com", "mail.example.org"),
        ("unknown.example", "mail.example.org"),
        (None, "mail.example.org"),
    ],
)
def test_the_server_name_chooses_the_certificate(
    named: ServerTLS, talk: Any, client: Any, asked: str | None, shown: str
) -> None:
    """TLS-16: unknown names get the default."""
    it = talk(named.factory_for("imap"), client("imap"), server_name=asked)
    it.handshake()
    assert it.certificate().subject.rfc4514_string() == f"CN={shown}"
    assert it.client.selected_alpn_protocol() == "imap"


def test_alpn_is_refused_under_every_name(named: ServerTLS, talk: Any, client: Any) -> None:
    """TLS-17 holds where the name chose another context."""
    it = talk(named.factory_for("imap"), client("h2"), server_name="imap.example.net")
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        it.handshake()


def test_names_that_clients_make_up_leave_nothing_behind(
    named: ServerTLS, talk: Any, client: Any
) -> None:
    """TLS-16: no cache per name."""
    before = (len(named.certificates.names), named.context("imap"))
    for number in range(20):
        talk(named.factory_for("imap"), client(), server_name=f"x{number}.example").handshake()
    assert (len(named.certificates.names), named.context("imap")) == before


def resumed(
    talk: Any, creator: Any, context: ssl.SSLContext, name: str = "mail.example.org"
) -> bool:
    first = talk(creator, context, server_name=name)
    first.handshake()
    first.read()
    second = talk(creator, context, server_name=name, session=first.client.session)
    second.handshake()
    return bool(second.client.session_reused)


@pytest.mark.parametrize("version", [V12, V13])
def test_sessions_are_resumed_by_ticket(
    named: ServerTLS, talk: Any, client: Any, version: ssl.TLSVersion
) -> None:
    """Tickets save the second handshake its signature, also where a name chose the certificate."""
    for name in ("mail.example.org", "imap.example.net"):
        context = client(least=version, most=version)
        assert resumed(talk, named.factory_for("imap"), context, name)


def test_renegotiation_is_refused(tls: ServerTLS, talk: Any, client: Any) -> None:
    """TLS-14: a client that asks for it in TLS 1.2 is told no, and the session goes on."""
    it = talk(tls.factory_for("imap"), client())
    asking = SSL.Context(SSL.TLS_CLIENT_METHOD)
    asking.set_max_proto_version(SSL.TLS1_2_VERSION)
    it.client = asker = SSL.Connection(asking, None)
    asker.set_connect_state()

    def exchange(step: Any) -> None:
        for _ in range(6):
            with contextlib.suppress(SSL.WantReadError):
                step()
            with contextlib.suppress(SSL.WantReadError):
                it.server.dataReceived(asker.bio_read(65536))
            it.clock.advance(0)
            if it.transport.value():
                asker.bio_write(it.transport.value())
                it.transport.clear()

    exchange(asker.do_handshake)
    assert asker.get_peer_finished() is not None
    assert asker.renegotiate()
    with pytest.raises(SSL.Error, match="no renegotiation"):
        exchange(asker.do_handshake)


def test_no_session_is_kept_on_our_side(tls: ServerTLS) -> None:
    """What a client needs to resume is in its ticket: ten thousand of them cost nothing here."""
    for protocol in ("imap", "pop3"):
        assert tls.context(protocol).get_session_cache_mode() == SSL.SESS_CACHE_OFF


def test_a_new_certificate_is_used_without_ending_sessions(
    tls: ServerTLS, pem: Path, talk: Any, client: Any, certificate_writer: Any, events: Any
) -> None:
    """A reload, as after a renewal; the log names both certificates."""
    old = talk(tls.factory_for("imap"), client())
    old.handshake()
    assert not tls.stale
    renewed = certificate_writer(pem, "mail.example.org")
    assert tls.stale
    prepared = tls.reload()
    assert prepared is not None
    tls.use(prepared)
    assert not tls.stale
    new = talk(tls.factory_for("imap"), client())
    new.handshake()
    assert new.certificate().serial_number == renewed.serial_number
    old.client.write(b"still here")
    old.pump()
    assert old.recorder.received == b"still here"
    (event,) = [each for each in events if each.get("event") == "certificates-replaced"]
    assert event["old_serial"] == f"{old.certificate().serial_number:x}"
    assert event["serial"] == f"{renewed.serial_number:x}"


def test_the_creator_made_before_a_reload_uses_the_new_certificate(
    tls: ServerTLS, pem: Path, talk: Any, client: Any, certificate_writer: Any
) -> None:
    """Listeners keep their creator for ever."""
    creator = tls.factory_for("imap")
    renewed = certificate_writer(pem, "mail.example.org")
    prepared = tls.reload()
    assert prepared is not None
    tls.use(prepared)
    it = talk(creator, client())
    it.handshake()
    assert it.certificate().serial_number == renewed.serial_number


@pytest.mark.parametrize("damage", ["cut", "expired", "other key", "gone"])
def test_broken_files_leave_the_old_certificate_in_use(
    tls: ServerTLS,
    pem: Path,
    talk: Any,
    client: Any,
    certificate_writer: Any,
    events: Any,
    damage: str,
) -> None:
    """TLS-15: a broken renewal is logged once and changes nothing."""
    serial = tls.certificates.default.serial
    if damage == "cut":
        pem.write_bytes(pem.read_bytes()[:200])
    elif damage == "expired":
        certificate_writer(pem, "mail.example.org", began=20, days=-10)
    elif damage == "other key":
        key, _, _ = pem.read_bytes().partition(b"-----BEGIN CERT")
        certificate_writer(pem, "mail.example.org")
        _, mark, certificate = pem.read_bytes().partition(b"-----BEGIN CERT")
        pem.write_bytes(key + mark + certificate)
    else:
        os.remove(pem)
    assert tls.stale
    assert tls.reload() is None
    assert not tls.stale
    it = talk(tls.factory_for("imap"), client())
    it.handshake()
    assert f"{it.certificate().serial_number:x}" == serial
    (event,) = [each for each in events if each.get("event") == "certificates-kept"]
    assert event["serial"] == serial
    assert str(pem) in event["reason"]


@pytest.mark.parametrize("damage", ["cut", "other name", "directory gone"])
def test_one_broken_name_holds_up_no_other_renewal(
    named: ServerTLS, tmp_path: Path, certificate_writer: Any, events: Any, damage: str
) -> None:
    """TLS-15, TLS-16: it goes on with what it had, and the log says what is wrong with it."""
    names = tmp_path / "names"
    broken, before = names / "imap.example.net.pem", dict(named.certificates.names)
    certificate_writer(tmp_path / "server.pem", "mail.example.org")
    if damage == "cut":
        broken.write_bytes(broken.read_bytes()[:200])
    elif damage == "other name":
        certificate_writer(broken, "other.example.net")
    else:
        names.rename(tmp_path / "elsewhere")
    prepared = named.reload()
    assert prepared is not None
    serial = named.certificates.default.serial
    named.use(prepared)
    assert named.certificates.default.serial != serial
    assert dict(named.certificates.names)["imap.example.net"] is before["imap.example.net"]
    assert len(named.certificates.names) == 2
    told = [each["reason"] for each in events if each.get("event") == "certificates-kept"]
    assert str(names if damage == "directory gone" else broken) in told[0]
    assert not named.stale


def stalled(tls: ServerTLS, talk: Any, context: ssl.SSLContext) -> Any:
    it = talk(tls.factory_for("imap"), context)
    aborted: list[bool] = []
    it.transport.abortConnection = lambda: aborted.append(True)
    it.aborted = aborted
    return it


def test_a_handshake_that_stalls_is_given_up(pem: Path, talk: Any, client: Any) -> None:
    """TLS-13: after ten seconds, also when octets trickle in."""
    clock = Clock()
    tls = ServerTLS(TLSSettings(certificate=str(pem)), clock)
    it = stalled(tls, talk, client())
    clock.advance(5)
    it.server.dataReceived(b"\x16")
    other = stalled(tls, talk, client())
    clock.advance(4.5)
    assert not it.aborted
    clock.advance(0.6)
    assert it.aborted
    assert not other.aborted
    clock.advance(5)
    assert other.aborted
    assert not clock.getDelayedCalls()


def test_a_handshake_in_time_is_left_alone(pem: Path, talk: Any, client: Any) -> None:
    """TLS-13, and the timer does not stay behind."""
    clock = Clock()
    tls = ServerTLS(TLSSettings(certificate=str(pem), handshake=10), clock)
    for version in (V12, V13):
        it = stalled(tls, talk, client(least=version, most=version))
        it.handshake()
        clock.advance(11)
        assert not it.aborted
    assert not clock.getDelayedCalls()


def test_protocols_without_an_alpn_name_get_no_context(tls: ServerTLS) -> None:
    with pytest.raises(ValueError, match="smtp"):
        tls.factory_for("smtp")


def test_secrets_stay_out_of_reprs(pem: Path) -> None:
    """AUTH-10."""
    it = load_certificates(TLSSettings(certificate=str(pem)))
    assert "PrivateKey" not in repr(it)
