"""
Other servers' configurations, carried over: what is printed is a good configuration that decides as
theirs did.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mailaccess.cli import main
from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import LOGIN_COMMAND, PLAIN, USER_PASS, Exposes, Mechanism
from mailaccess.services.config import parse
from mailaccess.services.policies import policy_of
from mailaccess.services.settings import Settings

SITE = """\
[mail]
home = "/srv/mail/{user}"
[[users]]
type = "file"
path = "/etc/mailaccess/users"
clear_text = true
[tls]
certificate = "/etc/ssl/mail.pem"
"""
CRAM = Mechanism("CRAM-MD5", Exposes.VERIFIER)


def carried(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], *texts: str
) -> tuple[Settings, list[str]]:
    """
    The settings that are printed, and what was lost.
    """
    paths = []
    for number, text in enumerate(texts):
        (tmp_path / str(number)).write_text(text)
        paths.append(str(tmp_path / str(number)))
    assert main(["import-policy", server, *paths]) == 0
    printed = capsys.readouterr().out
    lost = [
        each.removeprefix("# not carried over: ")
        for each in printed.splitlines()
        if each.startswith("# not")
    ]
    ca = 'client_ca = "/etc/ca.pem"\n' if "client_certificate" in printed else ""
    return parse(SITE + ca + printed), lost


def verdicts(settings: Settings, listener: str, tls: bool = False) -> list[bool]:
    """
    Whether the protocol's own command, PLAIN and CRAM-MD5 are let in.
    """
    link = Link(listener, Layer.TLS, 256, "TLSv1.3") if tls else Link(listener)
    own = LOGIN_COMMAND if listener.startswith("imap") else USER_PASS
    policy = policy_of(settings)
    return [policy.decide(link, each).allowed for each in (own, PLAIN, CRAM)]


@pytest.mark.parametrize(
    ("text", "clear"),
    [
        ("", [False, False, True]),
        ("allowplaintext: 0\n", [False, False, True]),
        ("allowplaintext: yes\n", [True, True, True]),
        ("allowplaintext: yes\nsasl_minimum_layer: 128\n", [False, False, False]),
        ("allowplaintext: 0\ntls_required: 1\n", [False, False, False]),
        ("imap_allowplaintext: 1\n", [True, True, True]),
        ("# allowplaintext: 1\npop3_allowplaintext: 1\n", [False, False, True]),
    ],
)
def test_cyrus(
    text: str, clear: list[bool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """POL-01, POL-07"""
    text += "sasl_mech_list: PLAIN CRAM-MD5 DIGEST-MD5\ntls_versions: tls1_2\n"
    settings, lost = carried("cyrus", tmp_path, capsys, text)
    assert [each.label for each in settings.listeners] == ["imap", "imaps", "pop3", "pop3s"]
    assert verdicts(settings, "imap") == clear
    assert verdicts(settings, "imap", tls=True) == [True, True, True]
    assert lost == ["sasl_mech_list: there is no DIGEST-MD5 here", "tls_versions: tls1_2"]


def test_cyrus_services(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    services = (
        'SERVICES {\n  imap cmd="imapd" listen="imap" prefork=0\n'
        '  inner cmd="imapd -s" listen="10.0.0.1:1993"\n  lmtp cmd="lmtpd" listen="/x"\n}\n'
    )
    settings, _ = carried("cyrus", tmp_path, capsys, "tls_require_cert: 1\n", services)
    assert [(it.port_number, it.tls, it.client_certificate) for it in settings.listeners] == [
        (143, "starttls", "require"),
        (1993, "implicit", "require"),
    ]
    assert settings.listeners[1].address == ("10.0.0.1",)


@pytest.mark.parametrize(
    ("text", "clear"),
    [
        ("", [False, False, True]),
        ("disable_plaintext_auth = yes\n", [False, False, True]),
        ("disable_plaintext_auth = no\n", [True, True, True]),
        ("auth_allow_cleartext = yes\n", [True, True, True]),
        ("ssl = required\n", [False, False, False]),
        ("ssl = required\ndisable_plaintext_auth = no\n", [False, False, False]),
    ],
)
def test_dovecot(
    text: str, clear: list[bool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """POL-01, POL-07"""
    text += "auth_mechanisms = plain cram-md5\nssl_min_protocol = TLSv1\nprotocols = imap\n"
    text += "protocol imap {\n  auth_mechanisms = plain\n}\nremote 10.0.0.0/8 {\n  ssl = no\n}\n"
    settings, lost = carried("dovecot", tmp_path, capsys, text)
    assert [each.label for each in settings.listeners] == ["imap", "imaps"]
    assert verdicts(settings, "imap") == clear
    assert verdicts(settings, "imap", tls=True) == [True, True, True]
    assert lost == [
        "protocol imap: auth_mechanisms = plain",
        "remote 10.0.0.0/8: ssl = no",
        "ssl_min_protocol = TLSv1",
    ]


def test_dovecot_trusts_its_own_machine_and_so_does_what_is_carried_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "login_trusted_networks = 10.9.0.0/24\nprotocols = pop3\nservice pop3-login {\n"
    text += "  inet_listener pop3s {\n    port = 0\n  }\n}\n"
    settings, _ = carried("dovecot", tmp_path, capsys, text)
    (only,) = settings.listeners
    assert only.private == ("loopback", "10.9.0.0/24")


@pytest.mark.parametrize(
    ("text", "clear"),
    [
        ("IMAPDSTARTTLS=YES\nIMAP_TLS_REQUIRED=1\n", [False, False, False]),
        ("IMAPDSTARTTLS=YES\nIMAP_TLS_REQUIRED=0\n", [True, True, True]),
        ("IMAPDSTARTTLS=NO\nIMAP_TLS_REQUIRED=1\n", [False, False, False]),
        ("IMAPDSTARTTLS=NO\n", [True, True, True]),
    ],
)
def test_courier(
    text: str, clear: list[bool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """POL-01, POL-07; where Courier would let everybody in, this is said."""
    capability = 'IMAP_CAPABILITY="IMAP4rev1 AUTH=PLAIN AUTH=CRAM-MD5"\nIMAPDSSLSTART=YES\n'
    settings, lost = carried("courier", tmp_path, capsys, capability, text)
    assert {each.label for each in settings.listeners} == {"imap", "imaps"}
    assert verdicts(settings, "imap") == clear
    fails_open = "NO" in text and "REQUIRED=1" in text
    assert any("lets everybody in" in each for each in lost) is fails_open


def test_dovecot_of_2_4_writes_lists_as_blocks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "dovecot_config_version = 2.4.1\nlisten = 127.0.0.1, ::1\nprotocols {\n  imap = yes\n"
    text += (
        "  lmtp = yes\n  pop3 = no\n}\nauth_mechanisms {\n  plain = yes\n  scram-sha-256 = yes\n"
    )
    text += "}\nssl_server_request_client_cert = yes\nauth_allow_cleartext = yes\n"
    settings, lost = carried("dovecot", tmp_path, capsys, text)
    assert lost == []
    assert [each.label for each in settings.listeners] == ["imap", "imaps"]
    for each in settings.listeners:
        assert each.mechanisms == ("LOGIN command", "PLAIN", "SCRAM-SHA-256")
        assert each.address == ("127.0.0.1", "::1")
        assert each.client_certificate == "ask"
    assert verdicts(settings, "imap")[:2] == [True, True]


def test_courier_has_a_port_in_each_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, lost = carried(
        "courier",
        tmp_path,
        capsys,
        'ADDRESS=0\nPORT=10143\nIMAP_CAPABILITY="IMAP4rev1 AUTH=CRAM-MD5"\n'
        'IMAP_CAPABILITY_TLS="$IMAP_CAPABILITY AUTH=PLAIN"\nIMAPDSTART=NO\n',
        "SSLADDRESS=127.0.0.1\nSSLPORT=10993\nIMAPDSSLSTART=YES\nTLS_VERIFYPEER=REQUIREPEER\n",
        "PORT=10110\nPOP3_STARTTLS=YES\nPOP3_TLS_REQUIRED=1\n",
        "SSLPORT=192.0.2.1.995\nPOP3DSSLSTART=YES\n",
    )
    found = [(it.label, it.port_number, it.tls, it.mechanisms) for it in settings.listeners]
    assert found == [
        ("imaps", 10993, "implicit", ("LOGIN command", "CRAM-MD5", "PLAIN")),
        ("pop3", 10110, "starttls", ()),
        ("pop3s", 995, "implicit", ()),
    ]
    assert settings.listeners[0].address == ("127.0.0.1",)
    assert settings.listeners[0].client_certificate == "require"
    assert settings.listeners[1].minimum_layer == 112
    assert lost == ["pop3: SSLPORT = 192.0.2.1.995"]


def test_a_file_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import-policy", "cyrus", "/nonexistent/imapd.conf"]) == 1
    assert "/nonexistent/imapd.conf: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "text", "versions", "said"),
    [
        ("dovecot", "ssl = required\nssl_min_protocol = TLSv1.3\n", ["1.3", "1.3"], []),
        (
            "dovecot",
            "ssl = yes\nssl_min_protocol = TLSv1.3\n",
            ["", "1.3"],
            ["ssl_min_protocol = TLSv1.3, where TLS begins by STARTTLS or STLS"],
        ),
        ("cyrus", "tls_versions: tls1_2 tls1_3\n", ["", ""], []),
        ("cyrus", "tls_versions: tls1_3\n", ["", "1.3"], ["tls_versions: tls1_3"]),
        ("cyrus", "tls_versions: tls1_3\ntls_required: 1\n", ["1.3", "1.3"], []),
        ("cyrus", "tls_versions: tls1_0 tls1_2\n", ["", ""], ["tls_versions: tls1_0 tls1_2"]),
    ],
)
def test_the_newest_tls_alone_is_carried_over_where_it_can_be(
    kind: str,
    text: str,
    versions: list[str],
    said: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """POL-06"""
    settings, lost = carried(kind, tmp_path, capsys, text)
    imap = [each for each in settings.listeners if each.protocol == "imap"]
    assert [each.minimum_tls for each in imap] == versions
    assert lost == said
