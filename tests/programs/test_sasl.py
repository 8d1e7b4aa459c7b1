"""
SASL as the programs do it that have it from GNU and from Cyrus, and client certificates.
"""

from __future__ import annotations

import imaplib
import json
import mailbox
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from jwt.algorithms import ECAlgorithm

from mailaccess.auth.passwords import make

from .running import ODD, ROOT, Desk, Server, Site, program, serving, until
from .test_getmail import owned
from .test_mutt import at_terminal

BOSS = "anna0"
PROTOCOLS = pytest.mark.parametrize("protocol", ["imap", "pop3"])


class Authority:
    """
    Signs client certificates.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "clients of the test")])
        self.file = place / "clients.pem"
        self.file.write_bytes(self._signed(self.name, self.key, True).public_bytes(Encoding.PEM))

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, ca: bool
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca, None), True)
            .sign(self.key, hashes.SHA256())
        )

    def certificate(self, name: str) -> tuple[Path, Path]:
        """
        Files of a certificate and its key; without a name in it if C{name} is empty.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "test")]
        if name:
            parts.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
        certificate, keys = self.place / f"client-{name}.pem", self.place / f"client-{name}.key"
        signed = self._signed(x509.Name(parts), key, False)
        certificate.write_bytes(signed.public_bytes(Encoding.PEM))
        keys.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )
        return certificate, keys

    def key_set(self) -> Path:
        """
        A file with the key that its tokens are signed with.
        """
        path = self.place / "keys.json"
        made = json.loads(ECAlgorithm.to_jwk(self.key.public_key()))
        path.write_text(json.dumps({"keys": [made | {"kid": "one", "alg": "ES256"}]}))
        return path

    def token(self, name: str, audience: str = "mail") -> str:
        """
        A token for somebody.
        """
        claims = {"iss": "https://id.example.org", "aud": audience, "sub": name}
        return jwt.encode(
            claims | {"exp": time.time() + 600}, self.key, "ES256", headers={"kid": "one"}
        )


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    place = Path(tempfile.mkdtemp(prefix="mailaccess-authority-"))
    yield Authority(place)
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def site(authority: Authority) -> Iterator[Site]:
    place = Path(tempfile.mkdtemp(prefix="mailaccess-sasl-"))
    site = Site(
        place,
        30,
        f'[login]\nadministrators = "{BOSS}"\ncertificate_name = "cn"\n'
        f'token_keys = "{authority.key_set()}"\ntoken_issuer = "https://id.example.org"\n'
        'token_audience = "mail"\ntoken_claim = "sub"\n',
        scheme="SCRAM-SHA-256",
        tls=f'client_ca = "{authority.file}"\n',
        listener='client_certificate = "ask"\n',
    )
    site.person()  # BOSS, who is nobody's own
    yield site
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def server(site: Site) -> Iterator[Server]:
    yield from serving(site)


def gsasl(desk: Desk, mechanism: str, *options: str | Path, status: int = 0) -> str:
    done = desk.run(
        *("gsasl", "--imap", "--mechanism", mechanism, "--x509-ca-file", desk.certificate),
        *options,
        *("localhost", str(desk.port("imap"))),
        status=status,
        given=b". LOGOUT\n",
    )
    return (done.stdout + done.stderr).decode()


def credentials(desk: Desk, password: str = "") -> list[str]:
    person = desk.person
    return ["--authentication-id", person.name, "--password", password or person.password]


def logged_in(desk: Desk, since: int) -> str:
    return desk.server.log.wait_for("event=login ", since)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"])
def test_gsasl_logs_in(desk: Desk, mechanism: str) -> None:
    """SASL-04, TLS-20: -PLUS is bound with tls-exporter, by another program's reckoning."""
    since = len(desk.server.log.lines)
    plain = [] if mechanism.endswith("-PLUS") else ["--no-cb"]
    said = gsasl(desk, mechanism, *plain, *credentials(desk))
    assert "AUTHENTICATE " + mechanism in said
    line = logged_in(desk, since)
    assert f'user="{desk.person.name}" listener=imap method={mechanism} ' in line


def test_gsasl_notices_that_nothing_was_taken_from_the_list(desk: Desk) -> None:
    """TLS-20: it could bind, and sees that we can; its own choice of the other is a mistake."""
    said = gsasl(desk, "SCRAM-SHA-256", *credentials(desk), status=1)
    assert "Error authenticating user" in said


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"])
def test_gsasl_is_told_of_a_wrong_password(desk: Desk, mechanism: str) -> None:
    """SASL-04, AUTH-07"""
    since = len(desk.server.log.lines)
    plain = [] if mechanism.endswith("-PLUS") else ["--no-cb"]
    gsasl(desk, mechanism, *plain, *credentials(desk, "falsch"), status=1)
    line = desk.server.log.wait_for("event=failed", since)
    assert "reason=AuthenticationFailed" in line
    assert f'user="{desk.person.name}"' in line


def cyrus(desk: Desk, protocol: str, *options: str) -> str:
    """
    imtest and pop3test, through STARTTLS; they trust any certificate.
    """
    tool = f"/usr/lib/cyrus/bin/{protocol.replace('imap', 'im')}test"
    unpacked = ROOT / ".programs" / "files" / tool[1:]
    person = desk.person
    done = desk.run(
        *(str(unpacked) if unpacked.exists() else tool, "-t", "", *options),
        *("-a", person.name, "-u", person.name, "-w", person.password),
        *("-p", str(desk.port(protocol)), "localhost"),
        given=b". LOGOUT\r\n" if protocol == "imap" else b"QUIT\r\n",
    )
    return done.stdout.decode()


@PROTOCOLS
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN"])
def test_cyrus_clients_log_in(desk: Desk, protocol: str, mechanism: str) -> None:
    """SASL-02, SASL-04: imtest and pop3test"""
    desk.person.deliver(ODD[:2])
    since = len(desk.server.log.lines)
    assert "Authenticated." in cyrus(desk, protocol, "-m", mechanism)
    assert f"listener={protocol} method={mechanism} " in logged_in(desk, since)


def test_mbsync_takes_scram_by_itself(desk: Desk) -> None:
    """SASL-04: with the plug-ins of Cyrus it takes the strongest that is offered."""
    desk.person.deliver(ODD[:2])
    (desk.home / "mail").mkdir()
    config = desk.write(
        "mbsyncrc",
        f"IMAPAccount far\nHost localhost\nPort {desk.port('imap')}\nUser {desk.person.name}\n"
        f"Pass {desk.person.password}\nSSLType STARTTLS\nCertificateFile {desk.certificate}\n\n"
        "IMAPStore far\nAccount far\n\n"
        f"MaildirStore near\nPath {desk.home}/mail/\nInbox {desk.home}/mail/INBOX\n\n"
        "Channel all\nFar :far:\nNear :near:\nCreate Near\nSyncState *\n",
    )
    since = len(desk.server.log.lines)
    desk.run("mbsync", "-c", config, "all")
    assert "method=SCRAM-SHA-256 " in logged_in(desk, since)
    assert len(list((desk.home / "mail" / "INBOX").glob("???/*:*"))) == 2


def test_mutt_takes_scram(desk: Desk) -> None:
    """SASL-04: with GNU SASL, as Debian builds it."""
    person = desk.person
    person.deliver([b"Subject: read by mutt\n\nx\n"])
    desk.write(
        "muttrc",
        f"set folder = imap://{person.name}@localhost:{desk.port('imap')}/\n"
        f'set spoolfile = +INBOX\nset imap_pass = "{person.password}"\n'
        f"set ssl_ca_certificates_file = {desk.certificate}\n"
        f"set certificate_file = {desk.certificate}\n"
        "set ssl_starttls = yes\nset ssl_force_tls = yes\nset beep = no\n"
        "set imap_authenticators = scram-sha-256\n",
    )
    since = len(desk.server.log.lines)
    with at_terminal(desk) as terminal:
        terminal.start(f"{program('mutt')} -n -F muttrc; echo ended with $?; read wait")
        terminal.shows("read by mutt")
        terminal.press("q")
        terminal.shows("ended with 0")
    assert "method=SCRAM-SHA-256 " in logged_in(desk, since)


def test_getmail_logs_in_by_token(desk: Desk, authority: Authority) -> None:
    """SASL-07: by XOAUTH2, the token from a program, as providers document it."""
    name = desk.person.name
    desk.person.deliver(ODD[:1])
    token = desk.server.site.secret(authority.token(name), name)
    path = desk.home / "Maildir"
    box = mailbox.Maildir(path, create=True)
    mine = owned(desk, path)
    config = desk.write(
        "getmailrc",
        f"[retriever]\ntype = SimpleIMAPSSLRetriever\nserver = localhost\n"
        f"port = {desk.port('imaps')}\n"
        f'username = {name}\nuse_xoauth2 = true\npassword_command = ("/bin/echo", "{token}")\n'
        f"ca_certs = {desk.certificate}\n[destination]\ntype = Maildir\npath = {path}/{mine}\n",
    )
    since = len(desk.server.log.lines)
    desk.run("getmail", f"--getmaildir={desk.home}", f"--rcfile={config}")
    assert "listener=imaps method=XOAUTH2 " in logged_in(desk, since)
    assert len(box) == 1


def test_a_certificate_logs_in_its_user_and_nobody_else(desk: Desk, authority: Authority) -> None:
    """TLS-19: gsasl by EXTERNAL; what it sends is who to act as, and never who it is."""
    name = desk.person.name
    certificate, key = authority.certificate(name)
    files = ("--x509-cert-file", certificate, "--x509-key-file", key)
    since = len(desk.server.log.lines)
    gsasl(desk, "EXTERNAL", *files, "--authorization-id", name)
    assert f'user="{name}" listener=imap method=EXTERNAL ' in logged_in(desk, since)
    since = len(desk.server.log.lines)
    gsasl(desk, "EXTERNAL", *files, "--authorization-id", "anna1", status=1)
    line = desk.server.log.wait_for("event=refused", since)
    assert "reason=AuthorizationFailed" in line


def test_a_certificate_without_a_name_is_nobodys(desk: Desk, authority: Authority) -> None:
    """TLS-19: the name that the client sends does not stand in for it."""
    certificate, key = authority.certificate("")
    files = ("--x509-cert-file", certificate, "--x509-key-file", key)
    since = len(desk.server.log.lines)
    name = desk.person.name
    gsasl(desk, "EXTERNAL", *files, "--authorization-id", name, status=1)
    line = desk.server.log.wait_for("event=failed", since)
    assert "the certificate is for no user" in line


@PROTOCOLS
def test_curl_logs_in_by_certificate(desk: Desk, authority: Authority, protocol: str) -> None:
    """TLS-19"""
    name = desk.person.name
    desk.person.deliver(ODD[:1])
    certificate, key = authority.certificate(name)
    since = len(desk.server.log.lines)
    options = ("--cert", certificate, "--key", key, "--cacert", desk.certificate, "--ssl-reqd")
    path = "INBOX" if protocol == "imap" else ""
    desk.run(
        *("curl", "-s", *options, "--login-options", "AUTH=EXTERNAL", "-u", f"{name}:"),
        f"{protocol}://localhost:{desk.port(protocol)}/{path}",
    )
    assert f'user="{name}" listener={protocol} method=EXTERNAL ' in logged_in(desk, since)


def test_python_logs_in_by_xoauth2(desk: Desk, authority: Authority) -> None:
    """SASL-07: curl takes OAUTHBEARER where both are there."""
    name = desk.person.name
    since = len(desk.server.log.lines)
    talk = imaplib.IMAP4_SSL("localhost", desk.port("imaps"), ssl_context=desk.server.context())
    said = f"user={name}\x01auth=Bearer {authority.token(name)}\x01\x01"
    assert talk.authenticate("XOAUTH2", lambda _: said.encode())[0] == "OK"
    talk.logout()
    assert f'user="{name}" listener=imaps method=XOAUTH2 ' in logged_in(desk, since)


@PROTOCOLS
def test_curl_logs_in_by_token(desk: Desk, authority: Authority, protocol: str) -> None:
    """SASL-07: and is told of a token that is for another service; neither is logged."""
    name = desk.person.name
    desk.person.deliver(ODD[:1])
    path = "INBOX" if protocol == "imap" else ""
    for audience, status, event in (("mail", 0, "login "), ("calendar", 67, "failed")):
        given = authority.token(name, audience)
        desk.server.site.secrets.add(given)
        config = desk.write("curlrc", f'user = "{name}"\noauth2-bearer = "{given}"\nsilent\n')
        since = len(desk.server.log.lines)
        desk.run(
            *("curl", "-K", config, "--cacert", desk.certificate, "--ssl-reqd"),
            *("--login-options", "AUTH=OAUTHBEARER"),
            f"{protocol}://localhost:{desk.port(protocol)}/{path}",
            status=status,
        )
        line = desk.server.log.wait_for("event=" + event, since)
        assert f"listener={protocol} method=OAUTHBEARER " in line


def test_without_a_certificate_external_is_not_there(desk: Desk) -> None:
    """TLS-19"""
    said = gsasl(desk, "EXTERNAL", "--authorization-id", desk.person.name, status=1)
    assert "AUTH=SCRAM-SHA-256-PLUS" in said
    assert "AUTH=EXTERNAL" not in said
    assert "NO This mechanism is not permitted here" in said


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS", "PLAIN"])
def test_an_administrator_sees_somebody_elses_mail(desk: Desk, mechanism: str) -> None:
    """SASL-03: with a right to it, and both names in the log."""
    since = len(desk.server.log.lines)
    password = desk.server.site.secret("Geheim-00-Wort", BOSS)
    boss = ("--authentication-id", BOSS, "--password", password)
    name = desk.person.name
    gsasl(desk, mechanism, *boss, "--authorization-id", name)
    line = logged_in(desk, since)
    assert f'user="{name}" ' in line
    assert f"actor={BOSS}" in line
    # Not the other way round.
    since = len(desk.server.log.lines)
    gsasl(desk, mechanism, *credentials(desk), "--authorization-id", BOSS, status=1)
    assert "reason=AuthorizationFailed" in desk.server.log.wait_for("event=refused", since)


def test_a_new_hash_without_keys_takes_scram_from_the_list(desk: Desk) -> None:
    """SASL-06: clients take the strongest mechanism, and would fail with it for that user."""
    users = desk.server.site.users
    before = users.read_text()
    asks = lambda: gsasl(desk, "PLAIN", *credentials(desk))  # noqa: E731
    assert "AUTH=SCRAM-SHA-256 " in asks()
    users.write_text(before + f"old:{make('SSHA256', b'Alt-Wort')}::::::\n")
    # The file is looked at when somebody logs in, once a second.
    until(lambda: "AUTH=SCRAM" not in asks())
    users.write_text(before)
    until(lambda: "AUTH=SCRAM-SHA-256 " in asks())
