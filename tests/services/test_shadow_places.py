"""
A shadow policy is about who may log in, not about where the server listens.
"""

from __future__ import annotations

from mailaccess.services.config import parse, read

SERVED = """
[mail]
home = "/srv/{user}"
[[users]]
type = "file"
path = "/etc/users"
[tls]
certificate = "/etc/mail.pem"
client_ca = "/etc/ca.pem"
[[listener]]
protocol = "imap"
client_certificate = "ask"
[[listener]]
protocol = "imap"
name = "inside"
port = 1143
tls = "none"
private = ["loopback"]
[[listener]]
protocol = "imap"
name = "webmail"
address = "unix:/run/imap"
tls = "none"
private = ["unix"]
"""
TRIED = """
[[listener]]
protocol = "imap"
[[listener]]
protocol = "imap"
name = "inside"
private = ["10.1.0.0/16"]
[[listener]]
protocol = "imap"
name = "webmail"
"""


def test_where_listeners_are_and_what_other_tables_are_for_is_not_repeated() -> None:
    document, settings = read(TRIED, "n.toml", parse(SERVED))
    assert document.problems == []
    assert [each.tls for each in settings.listeners] == ["starttls"] * 3
    assert settings.listeners[1].private == ("10.1.0.0/16",)


def test_tables_of_its_own_are_looked_at() -> None:
    text = TRIED + '[tls]\ncertificate = "/etc/mail.pem"\nclient_ca = "/etc/ca.pem"\n'
    document, _ = read(text, "n.toml", parse(SERVED))
    (problem,) = document.problems
    assert "client_ca" in problem
