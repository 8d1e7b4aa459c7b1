"""
One Maildir, one C{maildirsize}, two programs that keep to it: a real Dovecot with its C{maildir}
quota, and our store.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet import reactor

from mailaccess import errors
from mailaccess.interfaces import Identity
from mailaccess.store.accounts import MaildirAccounts
from mailaccess.store.options import StoreOptions
from mailaccess.store.quota import Allowance

from .running import program

_NOBODY = 65534
"""Dovecot serves nobody's mail as root."""

_LETTER = b"Subject: hello\n\nGood day,\nBob\n"
_SENT = _LETTER.replace(b"\n", b"\r\n")

_CONFIGURATION = """\
base_dir = {place}/run
log_path = /dev/stderr
mail_location = maildir:{place}/amy
mail_plugins = quota
first_valid_uid = 0
default_internal_user = root
default_login_user = root
ssl = no
plugin {{
  quota = maildir:User quota
}}
"""


@attrs.define
class Both:
    """
    A Maildir that both use.
    """

    place: Path
    opened: list[MaildirAccounts] = attrs.field(factory=list)

    @property
    def maildir(self) -> Path:
        return self.place / "amy"

    def dovecot(self, *words: str, data: bytes = b"", fails: bool = False) -> str:
        """
        What doveadm says.
        """
        command = [program("doveadm"), "-c", str(self.place / "dovecot.conf"), *words]
        owner = os.getuid()
        if owner == 0:
            subprocess.run(["chown", "-R", str(_NOBODY), str(self.maildir)], check=True)
            identity = [f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
            command = [program("setpriv"), *identity, *command]
        environment = {"HOME": str(self.place), "USER": "amy", "PATH": os.environ["PATH"]}
        done = subprocess.run(
            command, input=data, capture_output=True, env=environment, check=False
        )
        assert bool(done.returncode) == fails, done.stderr
        return done.stdout.decode()

    def told(self) -> list[list[str]]:
        """
        Use and limit of STORAGE and of MESSAGE, as Dovecot sees them; kilobytes.
        """
        lines = self.dovecot("-f", "tab", "quota", "get").splitlines()[1:]
        return [line.split("\t")[2:4] for line in lines]

    def sums(self) -> tuple[str, int, int]:
        """
        What C{maildirsize} says.
        """
        definition, *lines = (self.maildir / "maildirsize").read_text().splitlines()
        pairs = [tuple(map(int, line.split())) for line in lines]
        return definition, sum(each[0] for each in pairs), sum(each[1] for each in pairs)

    async def account(self, allowance: Allowance | None = None) -> Any:
        """
        Ours, newly opened.
        """
        options = StoreOptions("", "immediate", allowance=lambda _: allowance)
        self.opened.append(MaildirAccounts(f"{self.place}/{{user}}", reactor, options))
        return await self.opened[-1].account(Identity("amy"))


@pytest.fixture
def both(on_reactor: Callable[[Callable[[], Awaitable[Any]]], Any]) -> Iterator[Both]:
    place = Path(tempfile.mkdtemp(prefix="mailaccess-quota-"))
    place.chmod(0o755)
    (place / "dovecot.conf").write_text(_CONFIGURATION.format(place=place))
    made = Both(place)
    for below in ("cur", "new", "tmp"):
        (made.maildir / below).mkdir(parents=True)
    yield made

    async def stop() -> None:
        for each in made.opened:
            each.stop()

    on_reactor(stop)
    shutil.rmtree(place)


async def put(account: Any, *messages: bytes) -> None:
    upload = await account.upload("INBOX")
    for data in messages:
        upload.begin(len(data), (), None)
        upload.write(data)
    await upload.commit()


async def test_dovecot_keeps_to_what_we_write(both: Both) -> None:
    """Definition, count and lines; what it adds is what we find."""
    account = await both.account(Allowance(10_000_000, 3))
    await account.quota("INBOX")
    await put(account, _SENT)
    assert both.told() == [["1", "9766"], ["1", "3"]]
    both.dovecot("save", "-m", "INBOX", data=_LETTER)
    both.dovecot("save", "-m", "INBOX", data=_LETTER)
    assert both.sums() == ("10000000S,3C", 3 * len(_LETTER), 3)
    both.dovecot("save", "-m", "INBOX", data=_LETTER, fails=True)
    before = (both.maildir / "maildirsize").read_bytes()
    quota = await account.quota("INBOX")
    assert (quota.octets, quota.messages) == (3 * len(_SENT), 3)
    assert (both.maildir / "maildirsize").read_bytes() == before
    with pytest.raises(errors.OverQuota):
        await put(account, _SENT)
    inbox = await account.select("INBOX")
    await inbox.remove(list(inbox.rows.uids)[:2])
    assert both.told() == [["1", "9766"], ["1", "3"]]
    both.dovecot("save", "-m", "INBOX", data=_LETTER)
    both.dovecot("quota", "recalc")
    assert both.sums() == ("10000000S,3C", 2 * len(_LETTER), 2)


async def test_we_keep_to_what_dovecot_writes(both: Both) -> None:
    """Its limits are ours where nobody told us others, and our lines are right for it."""
    with (both.place / "dovecot.conf").open("a") as file:
        file.write("plugin {\n  quota_rule = *:bytes=100M:messages=2\n}\n")
    both.dovecot("save", "-m", "INBOX", data=_LETTER)
    account = await both.account()
    assert (await account.quota("INBOX")).allowance == Allowance(100 * 2**20, 2)
    await put(account, _SENT)
    with pytest.raises(errors.OverQuota):
        await put(account, _SENT)
    assert both.told() == [["1", "102400"], ["2", "2"]]
    counted = both.sums()
    both.dovecot("quota", "recalc")
    assert both.sums() == counted == ("104857600S,2C", 2 * len(_LETTER), 2)
