"""
The documentation is true as far as a program can tell: configurations are good, commands exist,
examples run, tables are complete.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
import sys
import textwrap
import time
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.mail.pop3 import POP3, IMailbox
from twisted.python.failure import Failure

from mailaccess.auth import passwords
from mailaccess.auth.chain import CheckerChain
from mailaccess.auth.credentials import PasswordLogin
from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.errors import (
    AuthenticationFailed,
    DirectoryUnavailable,
    MustEncrypt,
    PasswordExpired,
    Refused,
)
from mailaccess.interfaces import IIMAPUser
from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import PLAIN, USER_PASS
from mailaccess.policy.tls import ListenerRule, TLSPolicy, Verdict
from mailaccess.protocols.imap.commands import EXTENSIONS
from mailaccess.protocols.imap.factory import IMAPFactory
from mailaccess.protocols.login import Entrance, TLSPolicyMixin
from mailaccess.protocols.sweep import Sweep
from mailaccess.services import logs
from mailaccess.services.check import check
from mailaccess.services.demo.certificate import ensure_certificate
from mailaccess.services.tap import Options
from mailaccess.testing.memory import MemoryAccounts
from mailaccess.testing.people import MemoryChecker, MemoryRealm, entrance
from mailaccess.testing.talk import MemoryTransport, Talk

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)]
FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def load(path: Path) -> Any:
    """
    A module that is no part of a package.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


generate = load(DOCS / "generate.py")


def blocks(language: str) -> list[Any]:
    """
    All fenced blocks in a language, as parameters.
    """
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for each in FENCE.finditer(text):
            if each[2] == language:
                line = text.count("\n", 0, each.start()) + 1
                name = page.relative_to(ROOT).as_posix()
                found.append(pytest.param(textwrap.dedent(each[3]), id=f"{name}:{line}"))
    return found


# ---- configurations ----------------------------------------------------------------------------

REST = {
    "mail": '[mail]\nhome = "/srv/mail/{user}"\n',
    "users": '[[users]]\ntype = "file"\npath = "/etc/mailaccess/users"\n',
    "tls": '[tls]\ncertificate = "/etc/mailaccess/mail.pem"\n',
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A directory with everything that the documentation's configurations name.
    """
    top = tmp_path_factory.mktemp("machine")
    for each in ("etc/mailaccess/names", "srv/mail", "var/log/mailaccess", "var/lib/mailaccess"):
        (top / each).mkdir(parents=True)
    certificate, key = top / "cert.pem", top / "key.pem"
    ensure_certificate(certificate, key, datetime.now(UTC))
    both = top / "etc/mailaccess/mail.pem"
    both.touch(0o600)
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    for each in ("clients.pem", "ca.pem", "corp-ca.pem"):
        (top / "etc/mailaccess" / each).write_bytes(certificate.read_bytes())
    secret = top / "etc/mailaccess/ldap-password"
    secret.touch(0o600)
    secret.write_text("secret\n")
    (top / "etc/mailaccess/next.toml").write_text('[[listener]]\nprotocol = "imap"\n')
    (top / "srv/public").mkdir()
    (top / "etc/mailaccess/public-rights").write_text("Public/* anyone lrs\n")
    users = top / "etc/mailaccess/users"
    users.touch(0o600)
    users.write_text(f"amy:{passwords.make('SSHA512', b'secret')}\n")
    return top


@pytest.mark.parametrize("text", blocks("toml"))
def test_every_configuration_in_the_documentation_is_good(
    text: str, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    As "mailaccess check" finds it: tables that an excerpt leaves out are added, and paths are below
    a directory where the files are, which is pytest's own and no other user may search.
    """
    monkeypatch.setattr("mailaccess.services.check.out_of_reach", lambda _settings: ())
    tables = tomllib.loads(text)
    whole = text + "".join(rest for name, rest in REST.items() if name not in tables)
    here = re.sub(r'"(/(?:etc|srv|var)/[^"]*)"', lambda it: f'"{machine}{it[1]}"', whole)
    here = re.sub(r'^(user|group) = "mailaccess"', r'\1 = "daemon"', here, flags=re.MULTILINE)
    path = machine / "mailaccess.toml"
    path.write_text(here)
    problems, summary = check(str(path))
    assert problems == []
    assert summary


def test_a_configuration_that_is_wrong_would_be_noticed(machine: Path) -> None:
    """A test of the test above."""
    path = machine / "wrong.toml"
    path.write_text("\n".join(REST.values()) + '\n[[listener]]\nprotocol = "imap"\nclear = "no"\n')
    problems, _ = check(str(path))
    assert len(problems) > 1


def test_the_readme_has_a_site_in_fifteen_lines() -> None:
    (first, *_) = [each for each in blocks("toml") if str(each.id).startswith("README")]
    lines = [each for each in first.values[0].splitlines() if each.strip()]
    assert len(lines) <= 15


def test_what_the_documents_say_is_spoken_is_advertised_and_nothing_else_is() -> None:
    advertised = {word.decode() for each in EXTENSIONS for word in each.capabilities}
    for page in ("README.md", "newsfragments/imap.feature.md"):
        text = (ROOT / page).read_text("utf-8")
        (claim,) = re.findall(r"IMAP4rev1\W+all of it, with ([^.]*)\.", text)
        assert {*re.split(r",\s+|\s+and\s+", claim), "IMAP4rev1"} == advertised
    not_yet = (DOCS / "explanation/not-yet.md").read_text("utf-8")
    (missing,) = re.findall(r"\*\*IMAP4rev2\*\*, and ([^.]*)\.", not_yet)
    assert not advertised & {*re.split(r",\s+", missing), "IMAP4rev2"}


# ---- commands ----------------------------------------------------------------------------------


def commands() -> list[Any]:
    """
    Every line of every console.
    """
    found = []
    for block in blocks("console"):
        for line in block.values[0].splitlines():
            assert line.startswith("$ "), line
            found.append(pytest.param(line.removeprefix("$ "), id=line))
    return found


def parse_ours(words: list[str]) -> None:
    """
    A command line of C{mailaccess}.
    """
    parser: argparse.ArgumentParser = generate.parsers()[words[0]]
    parser.exit_on_error = False
    chosen, unknown = parser.parse_known_args(words[1:])
    assert not unknown
    assert chosen


def parse_service(words: list[str]) -> None:
    """
    A command line of C{twist} or C{twistd}.
    """
    if "mailaccess" in words:
        Options().parseOptions(words[words.index("mailaccess") + 1 :])
    else:
        assert (ROOT / words[-1]).exists(), words[-1]
        assert words[-1].endswith(".tac")


def parse_make(words: list[str]) -> None:
    """
    A command line of C{make}.
    """
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for each in words:
        assert re.search(rf"^{each}:.*## ", makefile, re.MULTILINE), each


KNOWN: dict[str, Callable[[list[str]], None]] = {
    "mailaccess": parse_ours,
    "twist": parse_service,
    "twistd": parse_service,
    "make": parse_make,
}
FOREIGN = {
    *("cat", "chmod", "chown", "curl", "fail2ban-regex", "install", "mv", "openssl", "printf"),
    *("ln", "python3", "systemctl", "useradd", "/opt/mailaccess/bin/pip"),
}


@pytest.mark.parametrize("line", commands())
def test_every_command_in_the_documentation_exists(line: str) -> None:
    """Those of others are listed, so that a slip of the pen is no program of somebody else's."""
    words = shlex.split(line)
    if words[0] in KNOWN:
        KNOWN[words[0]](words[1:])
    else:
        assert words[0] in FOREIGN


def test_the_commands_of_the_tutorial_are_those_that_the_demo_prints(tmp_path: Path) -> None:
    from mailaccess.services.demo.banner import commands as printed
    from mailaccess.services.demo.site import DemoSite

    tutorial = (DOCS / "tutorial/demo.md").read_text("utf-8")
    for each in printed(DemoSite(tmp_path / "demo")):
        assert each.replace(f"{tmp_path}/", "") in tutorial


def test_the_refusal_in_the_tutorial_is_what_happens() -> None:
    """POL-02, POL-03, POL-05: word for word, and the log names the user and the rule."""
    page = (DOCS / "tutorial/demo.md").read_text("utf-8")
    (shown,) = (found[3] for found in FENCE.finditer(page) if "nc localhost" in found[3])
    said = [line.encode() for line in shown.splitlines()[1:]]
    clock = Clock()
    way_in = entrance(
        MemoryChecker({"demo": b"demo"}),
        MemoryAccounts().enter,
        clock,
        rule=ListenerRule(source="mailaccess.toml:23"),
        tls=object(),
    )
    with capturedLogs() as events:
        talk = Talk(IMAPFactory(way_in, clock, Sweep(clock)), clock)
        answers = talk.lines()
        answers += [each for line in said if line[2:5] == b"LOG" for each in talk.send(line)]
    told = [line for line in said if line[2:5] != b"LOG"]
    beginning, end = told[0].split(b"...")
    assert answers[0].startswith(beginning)
    assert answers[0].endswith(end)
    assert answers[1:] == told[1:]
    (line,) = (logs.key_value_line(it) for it in events if it.get("event") == "refused")
    wanted = ('user="demo"', 'method="LOGIN command"', "reason=MustEncrypt", "cleartext = refuse (")
    for each in wanted:
        assert each in page
        assert each in line


# ---- pages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda it: it.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_every_page_is_in_the_table_of_contents() -> None:
    index = (DOCS / "index.md").read_text("utf-8")
    named = set(re.findall(r"^(?:tutorial|howto|reference|explanation)/\S+$", index, re.MULTILINE))
    pages = [page for page in PAGES if page.parent not in (ROOT, DOCS)]
    assert named == {page.relative_to(DOCS).with_suffix("").as_posix() for page in pages}


def test_files_that_pages_include_are_there() -> None:
    generated = {f"{name}.md" for name in generate.PAGES}
    included = set()
    for page in PAGES:
        text = page.read_text("utf-8")
        for target in re.findall(r"\{(?:literal)?include\} (\S+)|<(\S+)>`", text):
            path = next(each for each in target if each)
            if "_build/generated/" in path:
                included.add(path.rpartition("/")[2])
            else:
                assert (page.parent / path).resolve().exists(), path
    assert included == generated


def test_markers_that_pages_cut_at_are_in_this_file() -> None:
    here = Path(__file__).read_text("utf-8")
    for page in PAGES:
        for marker in re.findall(
            r'^:(?:start-after|end-before): "(.*)"$', page.read_text("utf-8"), re.MULTILINE
        ):
            assert len(re.findall(f"^{re.escape(marker)}", here, re.MULTILINE)) == 1, marker


# ---- Python in the pages -----------------------------------------------------------------------


@pytest.mark.parametrize("text", blocks("python"))
def test_every_python_example_can_be_read(text: str) -> None:
    compile(text, "example", "exec")


def test_the_example_of_the_readme_refuses_before_the_password() -> None:
    """POL-03: what the README shows does what it says."""
    (text,) = (each.values[0] for each in blocks("python") if str(each.id).startswith("README"))
    checker = MemoryChecker({"amy": b"secret"})
    names: dict[str, Any] = {
        **{it.__name__: it for it in (TLSPolicyMixin, POP3, Refused, TLSPolicy, ListenerRule)},
        **{it.__name__: it for it in (Verdict, GuardedChecker, CheckerChain, AccountGate, Portal)},
        "Entrance": Entrance,
        "IMailbox": IMailbox,
        "USER_PASS": USER_PASS,
        "checker": checker,
        "realm": MemoryRealm(lambda identity: None),
        "time": time,
    }
    exec(compile(text, "README.md", "exec"), names)

    class Factory:
        noisy = False

        def buildProtocol(self, address: Any) -> Any:
            protocol = names["PolitePOP3"]()
            protocol.entrance = names["entrance"]
            return protocol

    talk = Talk(Factory(), Clock())
    talk.lines()
    assert talk.send(b"USER amy") == [b"-ERR Login in the clear is refused here: use TLS"]
    assert checker.asked == []


# ---- the extension

sessions = load(DOCS / "howto/examples/sessions.py")


def connect(factory: IMAPFactory, clock: Clock, peer: str, user: bytes) -> Talk:
    """
    A conversation of somebody who is logged in.
    """
    talk = Talk(factory, clock, transport=MemoryTransport(peer))
    talk.lines()
    assert talk.send(b"a LOGIN " + user)[-1].startswith(b"a OK")
    return talk


def test_users_see_their_own_sessions_and_nobody_elses() -> None:
    clock = Clock()
    checker = MemoryChecker({"amy": b"secret", "bob": b"hunter2"})
    way_in = entrance(checker, MemoryAccounts().enter, clock)
    extensions = (*EXTENSIONS, sessions.extension)
    factory = IMAPFactory(way_in, clock, Sweep(clock), extensions=extensions)

    stranger = Talk(factory, clock)
    assert b"X-SESSIONS" not in stranger.read()
    assert stranger.send(b"a XSESSIONS")[0].startswith(b"a BAD")

    connect(factory, clock, "192.0.2.8", b"bob hunter2")
    connect(factory, clock, "192.0.2.44", b"amy secret")
    amy = connect(factory, clock, "2001:db8::7", b"amy secret")
    assert b" X-SESSIONS" in amy.send(b"b CAPABILITY")[0]
    assert amy.send(b"c XSESSIONS") == [
        b'* XSESSION "test" "2001:db8::7" "" THIS',
        b'* XSESSION "test" "192.0.2.44" ""',
        b"c OK XSESSIONS completed",
    ]
    assert len(amy.send(b"d XSESSIONS 1")) == 2
    assert amy.send(b"e XSESSIONS many")[0].startswith(b"e BAD expected number")


# ---- the checker

shadow = load(DOCS / "howto/examples/shadow.py")


class AtOnce:
    """
    In place of a HashPool.
    """

    async def run(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return call(*arguments)


SECRET = passwords.make("SHA512-CRYPT", b"secret").removeprefix("{SHA512-CRYPT}")
USERS = f"""\
amy:{SECRET}:20000:0:99999:7:::
old:{SECRET}:20000:0:99999:7::10000:
off:!{SECRET}:20000:0:99999:7:::
root:*:20000:0:99999:7:::
"""


# ---- a portal with the checker


def portal_for(checker: Any, realm: Any) -> Portal:
    policy = TLSPolicy({"imaps": ListenerRule(), "imap": ListenerRule()})
    guard = GuardedChecker(policy, CheckerChain([checker]), AccountGate(time.time))
    return Portal(realm, [guard])


# ---- what the portal does


def log_in(read: Callable[[], str], name: str, password: bytes, layer: Layer = Layer.TLS) -> Any:
    """
    The avatar's identity, or what was raised.
    """
    portal = portal_for(shadow.ShadowUsers(read, AtOnce()), MemoryRealm(lambda identity: None))
    link = Link("imap", layer, bits=256, peer="192.0.2.7")
    results: list[Any] = []
    login: Deferred[Any] = portal.login(
        PasswordLogin(name, password, link, PLAIN, "imap"), None, IIMAPUser
    )
    login.addBoth(results.append)
    (result,) = results
    return result.value if isinstance(result, Failure) else result[1].identity


def test_the_checker_of_the_documentation_knows_its_users() -> None:
    """AUTH-04, AUTH-05, AUTH-11: as the rules on its page say."""

    def read() -> str:
        return USERS

    identity = log_in(read, "Amy", b"secret")
    assert (identity.name, identity.source) == ("amy", "shadow")
    for name, password in (("amy", b"wrong"), ("nobody", b"secret"), ("off", b"secret")):
        assert type(log_in(read, name, password)) is AuthenticationFailed
    assert type(log_in(read, "root", b"*")) is AuthenticationFailed
    assert type(log_in(read, "old", b"secret")) is PasswordExpired
    assert type(log_in(read, "old", b"wrong")) is AuthenticationFailed


def test_the_checker_of_the_documentation_is_guarded_and_can_fail() -> None:
    """POL-03, AUTH-04."""

    def unreadable() -> str:
        raise PermissionError(13, "Permission denied")

    assert type(log_in(unreadable, "amy", b"secret", Layer.NONE)) is MustEncrypt
    assert type(log_in(unreadable, "amy", b"secret")) is DirectoryUnavailable
