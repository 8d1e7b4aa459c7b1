"""
The demo's content: what is made, that it is right, and that it is made once.
"""

from __future__ import annotations

import email.policy
import os
import re
import shlex
import ssl
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import getaddresses, parsedate_to_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

import mailaccess.services.demo
from mailaccess.auth import passwords
from mailaccess.services.config import load
from mailaccess.services.demo import DemoSite, banner, maildir, make_demo
from mailaccess.services.demo.banner import commands
from mailaccess.services.demo.files import write_private
from mailaccess.services.demo.letter import Letter, letters, render
from mailaccess.wire import utf7

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
PACKAGE = Path(mailaccess.services.demo.__file__).parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> DemoSite:
    """One demo for all tests that only read it."""
    return make_demo(tmp_path_factory.mktemp("site") / "demo", lambda: NOW)


def parsed(data: bytes) -> EmailMessage:
    message = BytesParser(policy=email.policy.default).parsebytes(data)
    assert isinstance(message, EmailMessage)
    return message


def stored(site: DemoSite) -> dict[Path, EmailMessage]:
    """The delivered messages, as files and parsed."""
    files = [path for path in site.maildir.rglob("*") if path.parent.name in ("cur", "new")]
    return {path: parsed(path.read_bytes()) for path in files}


def state(directory: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything in a tree, with modes, times and content."""
    return {
        str(path.relative_to(directory)): (
            path.stat().st_mode,
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in directory.rglob("*")
    }


def texts(table: dict, others: dict[str, Letter]) -> Iterator[str]:
    """The texts of a table, in the order in which the parts of the message come."""
    waiting = [table]
    while waiting:
        part = waiting.pop()
        if "letter" in part:
            waiting.append(others[part["letter"]].table)
        elif "part" in part:
            waiting.extend(reversed(part["part"]))
        elif "text" in part and part.get("type", "text/").startswith("text/"):
            yield part["text"]


def test_there_is_mail_in_every_folder_and_enough_of_it(site: DemoSite) -> None:
    files = stored(site)
    assert len(files) >= 36
    per_folder = {
        name: [path for path in files if path.parent.parent.name == f".{maildir.stored_name(name)}"]
        for name in maildir.FOLDERS
    }
    assert all(per_folder.values())
    assert len([path for path in files if path.parent.parent == site.maildir]) >= 10


def test_every_message_parses_without_defects(site: DemoSite) -> None:
    for path, message in stored(site).items():
        for part in message.walk():
            assert part.defects == [], path
            for name, value in part.items():
                assert value.defects == (), (path, name)


@pytest.mark.parametrize("letter", letters().values(), ids=lambda letter: letter.id)
def test_a_message_says_what_its_table_says(letter: Letter) -> None:
    every = letters()
    message = parsed(render(letter, every))
    for name, value in letter.table["headers"].items():
        if name in ("From", "To", "Cc", "Bcc"):
            assert getaddresses([str(message[name])]) == getaddresses([value])
        else:
            assert str(message[name]) == value
        assert "=?" not in str(message[name])
    found = []
    for part in message.walk():
        if part.get_content_maintype() == "text" and (
            part.get_content_type() in ("text/plain", "text/html")
        ):
            charset = part.get_content_charset()
            payload = part.get_payload(decode=True)
            # Parts of message/delivery-status are header blocks to the parser, without a charset.
            if charset is not None:
                found.append(payload.decode(charset))
    expected = list(texts(letter.table, every))
    assert [text.rstrip("\n") for text in found] == [text.rstrip("\n") for text in expected]


def test_many_charsets_encodings_and_structures_are_there(site: DemoSite) -> None:
    parts = [part for message in stored(site).values() for part in message.walk()]
    charsets = {part.get_content_charset() for part in parts}
    assert charsets >= {
        *("us-ascii", "utf-8", "iso-8859-1", "iso-8859-15", "iso-8859-7", "windows-1252"),
        *("koi8-r", "shift_jis", "iso-2022-jp", "gb18030"),
    }
    encodings = {part.get("Content-Transfer-Encoding", "7bit") for part in parts}
    assert encodings >= {"7bit", "8bit", "quoted-printable", "base64"}
    assert {part.get_content_type() for part in parts} >= {
        *("multipart/mixed", "multipart/alternative", "multipart/related", "multipart/digest"),
        *("multipart/report", "message/delivery-status", "message/rfc822", "text/html"),
        *("text/csv", "text/vcard", "text/calendar", "image/png", "application/pdf"),
    }
    assert any(part.get_param("format") == "flowed" for part in parts)
    text = "".join(str(message["Subject"]) for message in stored(site).values())
    for script in ("\u0400-\u04ff", "\u0600-\u06ff", "\u0590-\u05ff", "\u3040-\u30ff"):
        assert re.search(f"[{script}]", text)


def test_enclosed_files_come_out_as_they_are(site: DemoSite) -> None:
    named = {
        part.get_filename(): part.get_payload(decode=True)
        for message in stored(site).values()
        for part in message.walk()
        if part.get_filename()
    }
    for name in ("lighthouse.png", "poster.pdf", "visitors.csv", "tomas.vcf"):
        wanted = (PACKAGE / "enclosures" / name).read_bytes()
        # The line end before a boundary is the boundary's.
        assert named[name].rstrip(b"\n") == wanted.rstrip(b"\n")
    assert "Öffnungszeiten 2026 – Übersicht für Gäste, Katzen und Möwen.txt" in named
    assert "Fresnel à esquerda.png" in named


def test_the_long_file_name_is_cut_into_sections(site: DemoSite) -> None:
    """RFC 2231 section 3, so that clients have something to put together."""
    raw = [path.read_bytes() for path in stored(site)]
    assert [data for data in raw if b"filename*0*=utf-8''" in data and b"filename*1*=" in data]


def test_what_encloses_8bit_data_says_so(site: DemoSite) -> None:
    """RFC 2045 section 6.4."""
    enclosing = [
        part
        for message in stored(site).values()
        for part in message.walk()
        if part.is_multipart() and part.get_content_type() != "message/delivery-status"
        if b"\nContent-Transfer-Encoding: 8bit\n" in part.as_bytes().partition(b"\n\n")[2]
    ]
    assert enclosing
    assert all(part["Content-Transfer-Encoding"] == "8bit" for part in enclosing)


def test_the_long_thread_holds_together(site: DemoSite) -> None:
    by_id = {message["Message-ID"]: message for message in stored(site).values()}
    depths = []
    for message in by_id.values():
        before = (message["References"] or "").split()
        depths.append(len(before))
        if before and not before[0].startswith("<bottle"):
            assert message["In-Reply-To"] == before[-1]
            assert all(each in by_id for each in before)
            assert (by_id[before[-1]]["References"] or "").split() == before[:-1]
    assert max(depths) >= 9
    thread = [message for message in by_id.values() if "<lens-01@" in (message["References"] or "")]
    assert len(thread) + 1 >= 10
    assert len({message["Message-ID"] for message in by_id.values()}) == len(stored(site))


def test_flags_and_new_messages_are_shown_by_file_names(site: DemoSite) -> None:
    flags = set()
    for path in stored(site):
        name, separator, letters_of = path.name.partition(":2,")
        flags |= set(letters_of)
        assert bool(separator) == (path.parent.name == "cur")
        assert letters_of == "".join(sorted(letters_of))
        size, wire = re.search(r",S=(\d+),W=(\d+)$", name).groups()
        data = path.read_bytes()
        assert b"\r" not in data
        assert (int(size), int(wire)) == (len(data), len(data.replace(b"\n", b"\r\n")))
    assert flags >= set("DFRS")
    assert len([path for path in stored(site) if path.parent.name == "new"]) >= 3


def test_internal_dates_are_those_of_the_messages_and_span_two_years(site: DemoSite) -> None:
    dates = []
    for path, message in stored(site).items():
        dates.append(parsedate_to_datetime(message["Date"]))
        assert path.stat().st_mtime == dates[-1].timestamp()
        assert path.name.startswith(f"{int(dates[-1].timestamp())}.")
    assert max(dates) - min(dates) > timedelta(days=700)


def test_folder_names_are_in_modified_utf7_and_subscriptions_name_folders(site: DemoSite) -> None:
    on_disk = {path.name[1:] for path in site.maildir.glob(".*")}
    assert {"Archive", "Archive.2025", "Projects.Lighthouse", "Sent", "Drafts"} <= on_disk
    assert {"Trash", "Junk", "Gr&APwA3w-e von G&AOQ-sten"} <= on_disk
    assert {utf7.decode(name.encode()) for name in on_disk} == {
        name.replace("/", ".") for name in maildir.FOLDERS
    }
    lines = (site.maildir / "subscriptions").read_text("ascii").splitlines()
    assert set(lines) <= on_disk | {"INBOX"}
    assert len(lines) == len(set(lines)) >= 5


def test_all_addresses_are_from_domains_for_examples(site: DemoSite) -> None:
    for path in stored(site):
        domains = re.findall(rb"[\w.+-]+@([\w.-]+\w)", path.read_bytes())
        assert {domain for domain in domains if domain.split(b".")[-2] != b"example"} == set()


def test_making_it_again_changes_nothing(tmp_path: Path) -> None:
    site = make_demo(tmp_path / "demo", lambda: NOW)
    before = state(tmp_path)
    assert make_demo(tmp_path / "demo", lambda: NOW) == site
    assert state(tmp_path) == before


def test_what_the_user_changed_stays(tmp_path: Path) -> None:
    site = make_demo(tmp_path, lambda: NOW)
    for path in stored(site):
        path.unlink()
    site.config.write_text("# mine\n")
    site.users.write_text("mine:{PLAIN}x\n")
    before = state(tmp_path)
    make_demo(tmp_path, lambda: NOW)
    assert state(tmp_path) == before


def test_two_demos_have_the_same_mail(tmp_path: Path, site: DemoSite) -> None:
    """The same names and octets: nothing comes from the clock or from chance."""
    other = make_demo(tmp_path / "other", lambda: NOW + timedelta(days=1))

    def files(root: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file()
        }

    assert files(other.mail) == files(site.mail)


def test_an_interrupted_start_leaves_no_half_filled_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(maildir, "render", full)
        with pytest.raises(OSError, match="No space"):
            make_demo(tmp_path, lambda: NOW)
    assert list((tmp_path / "mail").iterdir()) == []
    assert len(stored(make_demo(tmp_path, lambda: NOW))) >= 36


def test_a_file_that_cannot_be_put_in_place_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "users" / "x").mkdir(parents=True)
    with pytest.raises(OSError, match="users"):
        write_private(tmp_path / "users", b"demo")
    assert [path.name for path in tmp_path.iterdir()] == ["users"]


def test_everything_is_private_whatever_the_umask(tmp_path: Path) -> None:
    """TLS-15, PATH-04: keys, passwords and mail are for the owner alone."""
    before = os.umask(0)
    try:
        site = make_demo(tmp_path / "demo", lambda: NOW)
    finally:
        os.umask(before)
    for path in [site.directory, *site.directory.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        if path == site.certificate:
            assert mode == 0o644
        else:
            assert mode == (0o700 if path.is_dir() else 0o600), path


def certificate(site: DemoSite) -> x509.Certificate:
    return x509.load_pem_x509_certificate(site.certificate.read_bytes())


def test_the_certificate_is_for_this_machine_and_one_year(site: DemoSite) -> None:
    made = certificate(site)
    key = made.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == [
        "127.0.0.1",
        "::1",
    ]
    assert made.not_valid_after_utc == NOW + timedelta(days=365)
    assert made.not_valid_before_utc < NOW


@pytest.mark.parametrize("days", [365, 1000, -30])
def test_a_certificate_that_is_not_valid_now_is_made_anew(tmp_path: Path, days: int) -> None:
    first = certificate(make_demo(tmp_path, lambda: NOW))
    assert certificate(make_demo(tmp_path, lambda: NOW + timedelta(days=300))) == first
    later = NOW + timedelta(days=days)
    second = certificate(make_demo(tmp_path, lambda: later))
    assert second != first
    assert second.not_valid_before_utc <= later <= second.not_valid_after_utc


@pytest.mark.parametrize("lost", ["cert.pem", "key.pem"])
@pytest.mark.parametrize("how", ["gone", "empty", "of another"])
def test_certificate_and_key_are_kept_together(
    tmp_path: Path, site: DemoSite, lost: str, how: str
) -> None:
    """TLS-15: a server with a key of another certificate would not start."""
    mine = make_demo(tmp_path, lambda: NOW)
    if how == "gone":
        (tmp_path / lost).unlink()
    else:
        (tmp_path / lost).write_bytes(
            b"" if how == "empty" else (site.directory / lost).read_bytes()
        )
    make_demo(tmp_path, lambda: NOW)
    # Raises if they do not belong together.
    ssl.create_default_context().load_cert_chain(mine.certificate, mine.key)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_a_strict_client_that_is_given_the_certificate_trusts_it(tmp_path: Path, name: str) -> None:
    site = make_demo(tmp_path)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(site.certificate, site.key)
    client_context = ssl.create_default_context(cafile=str(site.certificate))
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    for _ in range(10):
        for side in (client, server):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
    assert done == {client, server}


def test_the_account_is_demo_with_the_password_demo(site: DemoSite) -> None:
    name, hashed, *rest = site.users.read_text().rstrip("\n").split(":")
    assert name == "demo"
    assert rest == [""] * 6
    assert hashed.startswith("{ARGON2ID}")
    assert passwords.verify(hashed, b"demo")
    assert not passwords.verify(hashed, b"Demo")


@pytest.mark.parametrize("name", ["demo", 'a "b" \\ {c} ü'])
def test_the_configuration_is_right_wherever_the_demo_lies(tmp_path: Path, name: str) -> None:
    site = make_demo(tmp_path / name, lambda: NOW)
    settings = load(str(site.config))
    assert settings.mail.home.format(user="demo") == str(site.maildir)
    assert [users.path for users in settings.users] == [str(site.users)]
    assert (settings.tls.certificate, settings.tls.key) == (str(site.certificate), str(site.key))
    listeners = {(it.protocol, it.port, it.tls) for it in settings.listeners}
    assert listeners == {
        ("imap", 1143, "starttls"),
        ("imap", 1993, "implicit"),
        ("pop3", 1110, "starttls"),
        ("pop3", 1995, "implicit"),
    }
    for each in settings.listeners:
        assert each.address == ("127.0.0.1",)
        assert each.cleartext == "refuse"


def test_the_banner_names_ports_account_and_three_commands(site: DemoSite) -> None:
    text = banner(site)
    for port in ("1143  STARTTLS", "1993  TLS", "1110  STLS", "1995  TLS"):
        assert f"localhost:{port}" in text
    assert "account   demo, password demo" in text
    assert len(commands(site)) == 3
    for command in commands(site):
        assert f"  {command}\n" in text


def test_the_commands_name_the_certificate_from_where_they_are_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_demo(tmp_path / "my demo", lambda: NOW)
    for here, shown in ((tmp_path, "my demo/cert.pem"), (Path("/"), str(site.certificate)[1:])):
        monkeypatch.chdir(here)
        for command in commands(site):
            words = shlex.split(command)
            assert words[:3] == ["curl", "--cacert", shown]
            assert words[3:5] == ["--user", "demo:demo"]


def test_the_package_data_is_small() -> None:
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in files) < 200_000
