"""
An issuer of tokens on the network: keys that it publishes, and tokens that only it can check.
"""

from __future__ import annotations

import base64
import http.server
import imaplib
import json
import shutil
import ssl
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from mailaccess.services.demo.certificate import ensure_certificate

from .running import PATIENCE, Server, Site, serving
from .test_sasl import Authority

CLIENT, SECRET = "mail-server", "Asking 7 + More & more"


class Issuer:
    """
    An identity provider: an HTTPS server in a thread.
    """

    def __init__(self, place: Path) -> None:
        self.authority = Authority(place)
        self.known: dict[str, str] = {}
        self.asked: list[str] = []
        self.certificate = place / "issuer.pem"
        ensure_certificate(self.certificate, place / "issuer.key", datetime.now(UTC))
        (place / "secret").touch(0o600)
        (place / "secret").write_text(SECRET + "\n")
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                self.answer(json.loads(issuer.authority.key_set().read_bytes()))

            def do_POST(self) -> None:
                issuer.asked.append(self.path)
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                name = issuer.known.get(form["token"][0])
                scheme, _, blob = self.headers["Authorization"].partition(" ")
                user = base64.b64decode(blob).decode()
                if (scheme, user) != ("Basic", f"{CLIENT}:Asking+7+%2B+More+%26+more"):
                    self.send_error(401)
                elif name is None:
                    self.answer({"active": False})
                else:
                    self.answer({"active": True, "username": name, "scope": "openid imap"})

            def answer(self, value: Any) -> None:
                text = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, place / "issuer.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    @property
    def address(self) -> str:
        return f"https://localhost:{self.server.server_address[1]}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(PATIENCE)


@pytest.fixture
def place() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="mailaccess-issuer-"))
    yield place
    shutil.rmtree(place)


@pytest.fixture
def issuer(place: Path) -> Iterator[Issuer]:
    issuer = Issuer(place)
    yield issuer
    issuer.stop()


def site_of(place: Path, login: str) -> Site:
    inside = place / "site"
    inside.mkdir()
    return Site(inside, 3, f"[login]\n{login}")


def xoauth2(server: Server, name: str, token: str) -> str:
    server.site.secrets.add(token)
    talk = imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=server.context())
    try:
        talk.authenticate(
            "XOAUTH2", lambda _: f"user={name}\x01auth=Bearer {token}\x01\x01".encode()
        )
    except imaplib.IMAP4.error as error:
        return str(error)
    talk.logout()
    return "OK"


def test_keys_are_fetched_from_their_issuer(place: Path, issuer: Issuer) -> None:
    """SASL-07: over HTTPS, with a certificate that the site trusts."""
    more = (
        f'token_keys = "{issuer.address}/keys"\ntoken_issuer = "https://id.example.org"\n'
        f'token_audience = "mail"\ntoken_claim = "sub"\ntoken_ca = "{issuer.certificate}"\n'
    )
    for server in serving(site_of(place, more)):
        name = server.site.person().name
        assert xoauth2(server, name, issuer.authority.token(name)) == "OK"
        refused = xoauth2(server, name, issuer.authority.token(name, "calendar"))
        assert "AUTHENTICATIONFAILED" in refused
        assert issuer.asked == ["/keys"]


def test_an_issuer_that_nobody_vouches_for_is_not_believed(place: Path, issuer: Issuer) -> None:
    """SASL-07, AUTH-04"""
    more = (
        f'token_keys = "{issuer.address}/keys"\ntoken_issuer = "https://id.example.org"\n'
        'token_audience = "mail"\ntoken_claim = "sub"\n'
    )
    for server in serving(site_of(place, more)):
        name = server.site.person().name
        assert "UNAVAILABLE" in xoauth2(server, name, issuer.authority.token(name))
        assert issuer.asked == []
        line = server.log.wait_for("issuer localhost")
        assert "certificate verify failed" in line


def test_an_issuer_is_asked_about_tokens(place: Path, issuer: Issuer) -> None:
    """SASL-07: RFC 7662"""
    more = (
        f'token_introspection = "{issuer.address}/introspect"\ntoken_client = "{CLIENT}"\n'
        f'token_client_secret_file = "{place}/secret"\ntoken_scope = "imap"\n'
        f'token_claim = "username"\ntoken_ca = "{issuer.certificate}"\n'
    )
    for server in serving(site_of(place, more)):
        server.site.secrets.add(SECRET)
        name = server.site.person().name
        issuer.known["opaque-7"] = name
        assert xoauth2(server, name, "opaque-7") == "OK"
        assert "AUTHENTICATIONFAILED" in xoauth2(server, name, "opaque-8")
        assert issuer.asked == ["/introspect"] * 2
