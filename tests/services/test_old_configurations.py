"""
The well-known settings of other servers, said in ours, and every mechanism tried on the wire with
and without TLS.

A cell is C{allow}, C{refuse} for a refusal that comes before anything is asked, or C{-} where the
mechanism is not there at all.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from mailaccess.auth.passwords import make
from mailaccess.errors import ConfigurationErrors
from mailaccess.services.config import parse

from .live import SECRET, Client, Live

IMAP = ("LOGIN command", "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256")
POP3 = ("USER", "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256")
ALL = "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256"


@attrs.frozen
class Case:
    """
    A setting of another server.

    @ivar ours: the same in the table of a listener
    @ivar clear: for each mechanism in the order of L{IMAP} and L{POP3}, without TLS
    @ivar secure: the same with TLS
    @ivar mechanisms: those that the other server offers
    """

    ours: str
    clear: str
    secure: str = "allow allow allow allow allow"
    mechanisms: str = ALL
    command: bool = True


CLOSED = "refuse refuse refuse allow allow"
OPEN = "allow allow allow allow allow"
PRIVACY = "refuse refuse refuse refuse refuse"

CASES = {
    "Cyrus allowplaintext: 0": Case('cleartext = "refuse"', CLOSED),
    "Cyrus allowplaintext: 1": Case('cleartext = "allow"', OPEN),
    "Cyrus allowplaintext: 0, sasl_minimum_layer: 0": Case("minimum_layer = 0", CLOSED),
    "Cyrus allowplaintext: 0, sasl_minimum_layer: 1": Case("minimum_layer = 1", PRIVACY),
    "Cyrus sasl_minimum_layer: 128": Case("minimum_layer = 128", PRIVACY),
    "Cyrus tls_required: 1": Case('minimum_tls = "1.2"', PRIVACY),
    "Cyrus sasl_mech_list: CRAM-MD5": Case(
        "",
        "- - - allow -",
        "- - - allow -",
        "CRAM-MD5",
        command=False,
    ),
    "Cyrus sasl_mech_list: PLAIN SCRAM-SHA-256, allowplaintext: 1": Case(
        'cleartext = "allow"',
        "allow allow - - allow",
        "allow allow - - allow",
        "PLAIN SCRAM-SHA-256",
    ),
    "Dovecot disable_plaintext_auth = yes": Case("", CLOSED),
    "Dovecot disable_plaintext_auth = no": Case('cleartext = "allow"', OPEN),
    "Dovecot auth_allow_cleartext = no": Case('cleartext = "refuse"', CLOSED),
    "Dovecot auth_allow_cleartext = yes": Case('cleartext = "allow"', OPEN),
    "Dovecot ssl = required": Case('minimum_tls = "1.2"', PRIVACY),
    "Dovecot login_trusted_networks, local clients": Case('private = ["loopback"]', OPEN),
    "UW SSLTYPE=nopwd": Case("", CLOSED),
    "UW SSLTYPE=unix": Case('cleartext = "allow"', OPEN),
    "UW plaintext-allowed-clients": Case('private = ["127.0.0.0/8"]', OPEN),
    "Courier IMAP_TLS_REQUIRED=1": Case("minimum_layer = 112", PRIVACY),
    "Courier IMAP_TLS_REQUIRED=0": Case('cleartext = "allow"', OPEN),
}


def listener(number: int, protocol: str, case: Case) -> str:
    own = "LOGIN command" if protocol == "imap" else "USER"
    names = [*([own] if case.command else []), *case.mechanisms.split()]
    listed = ", ".join(f'"{each}"' for each in names)
    return (
        f'[[listener]]\nname = "{protocol}{number}"\nprotocol = "{protocol}"\nport = 0\n'
        f'address = "127.0.0.1"\nmechanisms = [{listed}]\n{case.ours}\n'
    )


def site(top: Path) -> str:
    return (
        f'[mail]\nhome = "{top}/mail/{{user}}"\n'
        f'[[users]]\ntype = "file"\npath = "{top}/users"\nclear_text = true\n'
        f'[tls]\ncertificate = "{top}/mail.pem"\n'
    )


@pytest.fixture(scope="module")
def live(
    tmp_path_factory: pytest.TempPathFactory, certificate_writer: Callable[..., Any]
) -> Iterator[Live]:
    top = tmp_path_factory.mktemp("old")
    certificate_writer(top / "mail.pem", "localhost")
    keys = make("SCRAM-SHA-256", SECRET.encode())
    (top / "users").write_text(f"amy:{{PLAIN}}{SECRET}\nsam:{keys}\n")
    (top / "users").chmod(0o640)
    (top / "mail").mkdir()
    tables = [
        listener(number, protocol, case)
        for number, case in enumerate(CASES.values())
        for protocol in ("imap", "pop3")
    ]
    (top / "m.toml").write_text(site(top) + "".join(tables))
    server = Live(top / "m.toml")
    yield server
    server.stop()


def attempt(client: Client, mechanism: str) -> str:
    """
    What becomes of a login, in the words of the tables above.
    """
    if mechanism in ("CRAM-MD5", "SCRAM-SHA-256"):
        answer = challenged(client, mechanism)
    else:
        answer = client.login(mechanism, "amy")
    if answer.startswith(("a OK", "+OK")):
        return "allow"
    if "not permitted" in answer or "not supported" in answer:
        return "-"
    assert "use TLS" in answer, answer
    assert answer.startswith("-ERR" if client.protocol == "pop3" else "a NO [PRIVACYREQUIRED]")
    return "refuse"


def challenged(client: Client, mechanism: str) -> str:
    verb = "AUTH" if client.protocol == "pop3" else "a AUTHENTICATE"
    client.send(f"{verb} {mechanism}")
    answer = client.line()
    if not answer.startswith("+ "):
        return answer
    if mechanism == "CRAM-MD5":
        challenge = b64decode(answer[2:])
        digest = hmac.new(SECRET.encode(), challenge, hashlib.md5).hexdigest()
        client.send(b64encode(f"amy {digest}".encode()).decode())
        return client.line()
    first = "n=sam,r=0123456789abcdef"
    client.send(b64encode(f"n,,{first}".encode()).decode())
    second = b64decode(client.line()[2:]).decode()
    client.send(b64encode(final(first, second)).decode())
    answer = client.line()
    if answer.startswith("+ "):
        client.send("")
        answer = client.line()
    return answer


def final(first: str, second: str) -> bytes:
    """
    The client's last message.

    RFC 5802 section 3.
    """
    words = dict(each.split("=", 1) for each in second.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", SECRET.encode(), b64decode(words["s"]), int(words["i"]))
    without = f"c=biws,r={words['r']}"
    key = hmac.digest(salted, b"Client Key", "sha256")
    stored = hashlib.sha256(key).digest()
    signature = hmac.digest(stored, f"{first},{second},{without}".encode(), "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
    return f"{without},p={b64encode(proof).decode()}".encode()


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
@pytest.mark.parametrize("name", CASES)
def test_an_old_setting_means_the_same_here(name: str, protocol: str, live: Live) -> None:
    """POL-01, POL-02, POL-03, POL-07: each mechanism on the wire, with and without TLS."""
    case = CASES[name]
    port = live.ports[f"{protocol}{list(CASES).index(name)}"]
    for tls, expected in (("none", case.clear), ("1.2", case.secure), ("1.3", case.secure)):
        found = []
        for mechanism in IMAP if protocol == "imap" else POP3:
            client = Client(protocol, port, tls)
            found.append(attempt(client, mechanism))
            client.close()
        if not case.command:
            assert found[0] in ("-", "refuse")
            found[0] = "-"
        assert " ".join(found) == expected, tls


@pytest.mark.parametrize("name", CASES)
def test_what_is_advertised_is_what_is_taken(name: str, live: Live) -> None:
    """POL-02"""
    case = CASES[name]
    port = live.ports[f"imap{list(CASES).index(name)}"]
    for tls, expected in (("none", case.clear), ("1.3", case.secure)):
        client = Client("imap", port, tls)
        (line,) = client.capability()
        client.close()
        for mechanism, cell in zip(IMAP, expected.split(), strict=True):
            if mechanism == "LOGIN command":
                assert ("LOGINDISABLED" in line.split()) is (cell != "allow")
            else:
                assert (f"AUTH={mechanism}" in line.split()) is (cell == "allow"), mechanism


def test_required_tls_that_is_not_there_is_an_error() -> None:
    """Courier's own setting fails open where STARTTLS is not set up; here nothing starts."""
    text = site(Path("/srv")) + '[[listener]]\nprotocol = "imap"\ntls = "none"\n'
    for demand in ("minimum_layer = 112", 'minimum_tls = "1.2"'):
        with pytest.raises(ConfigurationErrors, match="which is not there"):
            parse(text + demand + "\n")
