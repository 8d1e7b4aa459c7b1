"""
Our server, as an administrator would start it: C{twist mailaccess --config FILE}.
"""

from __future__ import annotations

import contextlib
import datetime
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailaccess.auth.passwords import make

from .process import ROOT, Process, until

PASSWORD = "s3cret-pass"

_CONFIGURATION = """\
[mail]
home = "{place}/mail/{{user}}"
[[users]]
type = "file"
path = "{place}/users"
[tls]
certificate = "{certificate}"
[limits]
connections = 50000
connections_per_ip = 50000
connections_per_user = 50000
connections_per_user_and_ip = 50000
imap_idle = "60m"
[server]
backlog = 4096
[log]
file = "{place}/log"
[[listener]]
protocol = "imap"
address = "127.0.0.1"
port = 0
cleartext = "allow"
[[listener]]
protocol = "imap"
tls = "implicit"
address = "127.0.0.1"
port = 0
"""


@attrs.frozen
class Server:
    """
    A mail server that runs.

    @ivar mail: directory with a Maildir per user
    @ivar plain: port for IMAP
    @ivar tls: port for IMAP over TLS
    """

    process: Process
    mail: Path
    plain: int
    tls: int


def certificate(path: Path) -> Path:
    """
    A P-256 certificate that signs itself, and its key, in one file; made once.
    """
    if path.exists():
        return path
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.touch(0o600)
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@contextlib.contextmanager
def serve(place: Path, users: Sequence[str], more: str = "") -> Iterator[Server]:
    """
    Serve these users, all with the same L{PASSWORD} and a cheap hash of it, from Maildirs under
    C{place}.

    @param more: configuration that comes after ours
    """
    place.mkdir(parents=True, exist_ok=True)
    mail = place / "mail"
    mail.mkdir(exist_ok=True)
    passwords = place / "users"
    passwords.touch(0o600)
    stored = make("SSHA", PASSWORD.encode("ascii"))
    passwords.write_text("".join(f"{user}:{stored}::::::\n" for user in users))
    configuration = place / "mailaccess.toml"
    configuration.write_text(
        _CONFIGURATION.format(place=place, certificate=certificate(place / "mail.pem")) + more
    )
    log = place / "log"
    log.unlink(missing_ok=True)
    process = Process(
        [sys.executable, "-m", "twisted", "mailaccess", "--config", str(configuration)],
        place / "output",
        cwd=ROOT,
    )

    def ports() -> list[int] | None:
        text = log.read_text(encoding="utf-8") if log.exists() else ""
        found = re.findall(r"event=listen listener=\S+ .*port=(\d+)", text)
        return [int(each) for each in found] if len(found) == 2 else None

    try:
        plain, tls = until(ports, process)
        yield Server(process, mail, plain, tls)
    finally:
        process.stop()
