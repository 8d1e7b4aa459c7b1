"""
Users from a password file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher, textFileLogObserver
from zope.interface.verify import verifyObject

from mailaccess.auth import passwdfile
from mailaccess.auth.names import BadName, canonical_name
from mailaccess.auth.passwdfile import PasswordFile, Unusable
from mailaccess.auth.passwdlines import read_lines
from mailaccess.auth.passwords import Limits, cost, make
from mailaccess.auth.pool import HashPool
from mailaccess.errors import AuthenticationFailed, DirectoryUnavailable
from mailaccess.interfaces import IChecksPasswords, IKnowsPeople

from .doubles import HereReactor, Threads, begin, outcome

CLEAR = Limits(clear_text=True)
CHEAP_BCRYPT = "{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"  # U*U

SAMPLE = """\
# people

amy:{PLAIN}amys:1000:100:Amy:/srv/mail/amy:/bin/sh:cleartext=refuse userdb_quota=5G nologin=no odd
Bob@Example.org:{PLAIN}bobs
  # indented comment
carl:{PLAIN}carls::::::allow_nets=10.0.0.0/8,::1 protocols=pop3
"""


class Site:
    """
    A password file, its checker, and what it is run with.
    """

    def __init__(self, path: Path, at_once: bool = True, **options: Any) -> None:
        self.path = path
        self.threads = Threads(at_once)
        self.clock = Clock()
        pool = HashPool(HereReactor(), threads=1, queue=5, pool=self.threads)
        pool.start()
        options.setdefault("limits", CLEAR)
        self.file = PasswordFile(str(path), pool, self.clock, **options)

    def write(self, text: str) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(text, "utf-8")
        new.replace(self.path)

    def check(self, name: str, secret: bytes) -> Any:
        return outcome(self.file.check(name, secret, "imap"))

    def knows(self, name: str, secret: bytes) -> bool:
        try:
            return bool(self.check(name, secret).name == name)
        except AuthenticationFailed:
            return False


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "users")
    made.write(SAMPLE)
    return made


@pytest.fixture
def logged() -> Iterator[StringIO]:
    text = StringIO()
    observer = textFileLogObserver(text)
    globalLogPublisher.addObserver(observer)
    yield text
    globalLogPublisher.removeObserver(observer)


def test_it_is_what_its_interfaces_say(site: Site) -> None:
    assert verifyObject(IChecksPasswords, site.file)
    assert verifyObject(IKnowsPeople, site.file)


def test_a_right_password_gives_what_the_line_says(site: Site) -> None:
    identity = site.check("amy", b"amys")
    assert identity.name == "amy"
    assert identity.home == "/srv/mail/amy"
    assert identity.fields == {
        "cleartext": "refuse",
        "quota": "5G",
        "nologin": "no",
        "odd": "yes",
    }
    assert site.check("bob@example.org", b"bobs").home == ""
    assert site.check("carl", b"carls").fields["allow_nets"] == "10.0.0.0/8,::1"


def test_wrong_and_unknown_are_one_answer(site: Site) -> None:
    """AUTH-05"""
    texts = set()
    for name, secret in (("amy", b"bobs"), ("nobody", b"amys"), ("# people", b"")):
        with pytest.raises(AuthenticationFailed) as caught:
            site.check(name, secret)
        texts.add(caught.value.public)
    assert len(texts) == 1


def test_policy_attributes_say_where_they_are_written(site: Site) -> None:
    """POL-04, POL-08"""
    assert outcome(site.file.attributes("amy"))["cleartext"] == "refuse"
    assert outcome(site.file.attributes("amy"))["policy_source"] == f"{site.path}:3"
    assert outcome(site.file.attributes("nobody")) is None


def test_a_bad_line_is_reported_and_hides_no_other(site: Site) -> None:
    """AUTH-02"""
    site.write(
        "amy:{PLAIN}amys\n"
        "no colon here\n"
        ":{PLAIN}x\n"
        "a\x01b:{PLAIN}x\n"
        "dora:{SSHA}hunter2\n"
        "eve:hunter2\n"
        "AMY:{PLAIN}other\n"
        "\n"
        "bob:{PLAIN}bobs\n"
    )
    problems = site.file.load()
    assert [each.split(":")[1] for each in problems] == ["2", "3", "4", "5", "6", "7"]
    assert all(each.startswith(f"{site.path}:") for each in problems)
    assert "hunter2" not in "".join(problems)
    assert site.knows("amy", b"amys")
    assert not site.knows("amy", b"other")
    assert site.knows("bob", b"bobs")


def test_a_malformed_hash_is_a_failure_and_a_log_line(site: Site, logged: StringIO) -> None:
    """AUTH-02, AUTH-10"""
    site.write("dora:{SSHA}hunter2\namy:{PLAIN}amys\n")
    assert not site.knows("dora", b"hunter2")
    assert f"{site.path}:1" in logged.getvalue()
    assert "'dora' cannot log in" in logged.getvalue()
    assert "hunter2" not in logged.getvalue()


def test_bytes_that_are_no_text_spoil_their_line_only(site: Site) -> None:
    site.path.write_bytes(b"amy:{PLAIN}amys\n\xff:{PLAIN}x\ncarl:{PLAIN}\xff\nbob:{PLAIN}bobs\r\n")
    assert len(site.file.load()) == 2
    assert site.knows("amy", b"amys")
    assert site.knows("bob", b"bobs")


@pytest.mark.parametrize("stored", ["", "!", "*", "!!", "x"])
def test_a_line_without_a_password_lets_nobody_in_but_has_a_policy(site: Site, stored: str) -> None:
    site.write(f"amy:{stored}::::::cleartext=refuse\nbob:{{PLAIN}}bobs\n")
    assert site.file.load() == ()
    for secret in (b"", b"!", b"*", b"x"):
        assert not site.knows("amy", secret)
    assert outcome(site.file.attributes("amy"))["cleartext"] == "refuse"


def test_the_default_domain_makes_one_name_of_two(tmp_path: Path) -> None:
    """AUTH-08"""
    site = Site(tmp_path / "users", default_domain="example.org")
    site.write("Amy:{PLAIN}amys\nbob@EXAMPLE.org:{PLAIN}bobs\namy@example.org:{PLAIN}x\n")
    assert len(site.file.load()) == 1
    assert site.knows("amy@example.org", b"amys")
    assert site.knows("bob@example.org", b"bobs")


def test_a_change_counts_within_a_second(site: Site) -> None:
    assert site.knows("amy", b"amys")
    site.write("amy:{PLAIN}newer\n")
    assert site.knows("amy", b"amys")
    site.clock.advance(1)
    assert not site.knows("amy", b"amys")
    assert site.knows("amy", b"newer")
    assert not site.knows("carl", b"carls")


def test_a_file_that_did_not_change_is_not_read_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site.knows("amy", b"amys")
    read: list[Any] = []
    monkeypatch.setattr(passwdfile, "read_lines", lambda *args: read.append(args))
    for _ in range(3):
        site.clock.advance(1)
        assert site.knows("amy", b"amys")
    assert read == []


def test_a_change_of_the_same_size_and_time_is_seen_by_the_inode(site: Site) -> None:
    assert site.knows("amy", b"amys")
    before = site.path.stat()
    site.write(SAMPLE.replace("{PLAIN}amys", "{PLAIN}AMYS"))
    os.utime(site.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    site.clock.advance(1)
    assert site.knows("amy", b"AMYS")


@pytest.mark.parametrize("harm", ["gone", "nonsense", "directory"])
def test_the_old_content_counts_while_the_new_cannot_be_used(
    site: Site, logged: StringIO, harm: str
) -> None:
    assert site.knows("amy", b"amys")
    site.path.unlink()
    if harm == "nonsense":
        site.path.write_bytes(b"\x7fELF\0\0\nnothing")
    elif harm == "directory":
        site.path.mkdir()
    for _ in range(3):
        site.clock.advance(1)
        assert site.knows("amy", b"amys")
    assert logged.getvalue().count("the old content is kept") == 1
    if harm == "directory":
        site.path.rmdir()
    site.write("bob:{PLAIN}bobs\n")
    site.clock.advance(1)
    assert site.knows("bob", b"bobs")
    assert not site.knows("amy", b"amys")


def test_an_emptied_file_has_no_users(site: Site) -> None:
    assert site.knows("amy", b"amys")
    site.write("# nobody any more\n")
    site.clock.advance(1)
    assert not site.knows("amy", b"amys")


def test_a_file_that_was_never_there_is_not_a_wrong_password(tmp_path: Path) -> None:
    """AUTH-04"""
    site = Site(tmp_path / "users")
    with pytest.raises(Unusable):
        site.file.load()
    with pytest.raises(DirectoryUnavailable):
        site.check("amy", b"amys")
    site.write(SAMPLE)
    site.clock.advance(1)
    assert site.knows("amy", b"amys")


def test_reading_is_done_in_a_thread_and_once_for_all_who_wait(tmp_path: Path) -> None:
    """AB-09: a large file must not hold up the reactor."""
    site = Site(tmp_path / "users", at_once=False)
    site.write(SAMPLE)
    results: list[Any] = []
    logins = [begin(site.file.check("amy", b"amys", "imap")) for _ in range(3)]
    for each in logins:
        each.addBoth(results.append)
    assert results == []
    assert len(site.threads.calls) == 1
    logins[1].cancel()
    site.threads.run()
    assert [getattr(each, "name", None) for each in results] == [None, "amy", "amy"]


def test_a_hash_that_takes_time_is_computed_in_a_thread(tmp_path: Path) -> None:
    """AUTH-02"""
    site = Site(tmp_path / "users", at_once=False)
    site.write(f"amy:{CHEAP_BCRYPT}\nbob:{{PLAIN}}bobs\n")
    site.file.load()
    results: list[Any] = []
    begin(site.file.check("amy", b"U*U", "imap")).addCallback(results.append)
    assert results == []
    site.threads.run()
    assert results[0].name == "amy"
    assert site.knows("bob", b"bobs")
    assert site.threads.calls == []


def test_a_full_queue_is_not_a_wrong_password(tmp_path: Path) -> None:
    """AUTH-02, AB-12"""
    site = Site(tmp_path / "users", at_once=False)
    site.write(f"amy:{CHEAP_BCRYPT}\n")
    site.file.load()
    logins = [begin(site.file.check("amy", b"U*U", "imap")) for _ in range(6)]
    with pytest.raises(DirectoryUnavailable):
        site.check("amy", b"U*U")
    while site.threads.calls:
        site.threads.run()
    assert all(outcome(each).name == "amy" for each in logins)


@pytest.mark.parametrize("secret", [b"wrong", b"U*U", b"x" * 100])
def test_every_failure_costs_one_hash_of_the_files_usual_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: bytes
) -> None:
    """AUTH-05: for a name that is unknown, without a password, with a malformed one, or known."""
    site = Site(tmp_path / "users")
    site.write(
        f"amy:{CHEAP_BCRYPT}\nbob:{CHEAP_BCRYPT}\ncarl:{{PLAIN}}x\nlocked:!\ndora:{{SSHA}}broken\n"
    )
    site.file.load()
    computed: list[str] = []
    real = passwdfile.verify

    def counting(stored: str, given_: bytes, limits: Limits) -> bool:
        computed.append(cost(stored, limits))
        return real(stored, given_, limits)

    monkeypatch.setattr(passwdfile, "verify", counting)
    for name in ("amy", "nobody", "locked", "dora", "someone@else"):
        computed.clear()
        site.knows(name, secret)
        assert computed == ["BLF-CRYPT 5"], name


names = st.text(alphabet=st.characters(exclude_characters=":\n\r#", codec="utf-8"), min_size=1)
odd = st.sampled_from(["%{u}", "*", "a(b)", "c\\d", "%n", "{x}", "$1", "a=b", "a b", "../x"])


@settings(max_examples=60)
@given(st.dictionaries(st.one_of(names, odd), st.binary(min_size=1, max_size=60), max_size=5))
def test_names_and_passwords_are_data(people: dict[str, bytes]) -> None:
    """AUTH-09: whatever is in them, each opens its own account and no other."""
    expected: dict[str, bytes] = {}
    lines = []
    for name, secret in people.items():
        lines.append(f"{name}:{make('SSHA', secret)}")
        try:
            expected.setdefault(canonical_name(name), secret)
        except BadName:
            continue
    contents = read_lines("\n".join(lines).encode(), CLEAR)
    assert set(contents.lines) <= set(expected)
    for name in contents.lines:
        record = contents.find(name)
        assert record is not None
        for secret in people.values():
            assert passwdfile.verify(record.stored, secret) == (secret == expected[name])


@given(st.binary(max_size=200))
def test_no_bytes_in_a_file_do_more_than_be_bad_lines(text: bytes) -> None:
    """AUTH-02"""
    contents = read_lines(text, CLEAR)
    for name in contents.lines:
        record = contents.find(name)
        assert record is not None
        assert not record.stored or cost(record.stored, CLEAR)
