"""
Processes that help compute what is kept of messages.
"""

from __future__ import annotations

import io
import marshal
import os
import random
import resource
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailaccess.message.header import header_end, picker
from mailaccess.message.lineends import crlf_size, to_crlf
from mailaccess.message.structure import describe
from mailaccess.store import query as q
from mailaccess.store.disk import Disk, Tree
from mailaccess.store.maildir import helper, kinds
from mailaccess.store.maildir.helpers import MANY, Helpers
from mailaccess.store.searched import Message

from .conftest import Site, message, nap, until

CORPUS = sorted((Path(__file__).parent.parent / "data" / "corpus").glob("*/*.eml"))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "cur").mkdir()
    for path in CORPUS:
        for copy in ("1", "2"):
            shutil.copy(path, tmp_path / "cur" / f"{copy}-{path.parent.name}-{path.name}")
    return Tree(Disk(), str(tmp_path))


@pytest.fixture
def helpers() -> Iterator[Helpers]:
    made = Helpers(2, lambda: None)
    yield made
    made.stop()


def _names(tree: Tree) -> list[str]:
    return sorted(os.listdir(f"{tree.path}/cur"))


def _helped(helpers: Helpers, what: str, tree: Tree, names: list[str]) -> list[Any]:
    """
    The first answer that is more than nothing.
    """
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = helpers.ask(what, tree, "", names)
        if any(found):
            return found
        time.sleep(0.01)
    raise AssertionError("nobody helped")


def _read(tree: Tree, name: str) -> bytes:
    return to_crlf(Path(tree.path, "cur", name).read_bytes())


def test_a_server_with_many_connections_is_helped_too(helpers: Helpers, tree: Tree) -> None:
    """Descriptors over 1,023 are descriptors, too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    held = []
    try:
        while not held or held[-1] < 1100:
            held.append(os.dup(0))
        assert _helped(helpers, "describe", tree, _names(tree))
    finally:
        for each in held:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_others_compute_is_what_we_compute(helpers: Helpers, tree: Tree) -> None:
    names = _names(tree)
    assert len(names) >= 2 * MANY
    for what in ("describe", "list"):
        for name, found in zip(names, _helped(helpers, what, tree, names), strict=True):
            data = _read(tree, name)
            header = data[: header_end(data)]
            if found is None:
                assert len(header) >= helper.HEAD // 2
                continue
            if what == "describe":
                assert found[kinds.DESCRIPTION.number] == kinds.described(describe(data))
            assert found[kinds.FIELDS.number] == kinds.usual_fields(header)
            texts = kinds.texts_of(Message(data), data)
            for kind in kinds.VALUES.values():
                assert found[kind.number] == texts[kind], name
    for name, found in zip(names, _helped(helpers, "search", tree, names), strict=True):
        data = _read(tree, name)
        for kind, value in kinds.texts_of(Message(data), data).items():
            assert found[kind.number] == value
    for name, found in zip(names, _helped(helpers, "size", tree, names), strict=True):
        path = Path(tree.path, "cur", name)
        assert found == (crlf_size(path.read_bytes()), int(path.stat().st_mtime))


def test_files_that_cannot_be_read_are_left_to_who_asked(helpers: Helpers, tree: Tree) -> None:
    """
    PATH-04: nor is anything read through a link.
    """
    names = _names(tree)
    (Path(tree.path) / "secret").write_bytes(b"Subject: secret\n\n")
    names[3] = "gone"
    names[5] = "link"
    os.symlink("../secret", f"{tree.path}/cur/link")
    names[7] = "long"
    Path(tree.path, "cur", "long").write_bytes(b"Subject: long\n\n" + bytes(helper.LONG))
    found = _helped(helpers, "describe", tree, names)
    assert [found[number] for number in (3, 5, 7)] == [None] * 3
    assert found[4]
    assert helpers.ask("describe", tree, "no.such", names) == [None] * len(names)
    assert any(helpers.ask("describe", tree, "", names))


def test_a_process_that_died_costs_no_answer(helpers: Helpers, tree: Tree) -> None:
    """
    PAR-12: who asked computes it then.
    """
    names = _names(tree)
    _helped(helpers, "describe", tree, names)
    for each in helpers._resting:
        each.process.kill()
        each.process.wait()
    assert helpers.ask("describe", tree, "", names) == [None] * len(names)


def test_few_messages_are_not_worth_asking_for(helpers: Helpers, tree: Tree) -> None:
    names = _names(tree)
    _helped(helpers, "describe", tree, names)
    assert helpers.ask("describe", tree, "", names[: MANY - 1]) == [None] * (MANY - 1)


def test_processes_end_with_who_started_them(tree: Tree) -> None:
    helpers = Helpers(2, lambda: None)
    _helped(helpers, "describe", tree, _names(tree))
    processes = [each.process for each in helpers._resting]
    assert processes
    assert helpers.tidy()
    helpers.stop()
    assert all(process.poll() is not None for process in processes)
    assert not helpers.tidy()
    assert helpers.ask("describe", tree, "", _names(tree)) == [None] * len(_names(tree))


def test_an_answer_has_no_more_than_its_room(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    PAR-09: what does not fit is left to who asked.
    """
    names = _names(tree)
    monkeypatch.setattr(helper, "ROOM", 5000)
    found = helper.answer(Disk(), ("describe", tree.path, "", names))
    assert len(found) == len(names)
    assert found[0] is not None
    assert found[-1] is None


def test_it_answers_until_its_input_ends(tree: Tree, tmp_path: Path) -> None:
    request = marshal.dumps(("size", tree.path, "", _names(tree)[:2]))
    asked = tmp_path / "asked"
    asked.write_bytes((helper.LENGTH.pack(len(request)) + request) * 2)
    sink = io.BytesIO()
    with asked.open("rb") as source:
        helper.main(source, sink)
    assert sink.getvalue().startswith(helper.READY)
    (length,) = helper.LENGTH.unpack(sink.getvalue()[1:5])
    assert len(sink.getvalue()) == 1 + 2 * (4 + length)


async def test_a_client_that_goes_through_a_mailbox_sees_what_is_there(site: Site) -> None:
    """
    DS-05: computed here or elsewhere, asked for in any order, kept or not.
    """
    chance = random.Random(3)
    data = {}
    for number in range(700):
        data[number + 1] = message(f"number {number}", "x" * chance.randrange(100))
        name = f"{1700000000 + number}.M{number}P1.x:2,"
        (site.maildir() / "cur" / name).write_bytes(data[number + 1])
    account = await site.account()
    mailbox = await account.select("INBOX")
    uids = list(mailbox.rows.uids)
    expected = {uid: describe(data[uid]) for uid in uids}
    names = (b"subject", b"from")
    pick = picker(names, False)

    async def go_through() -> None:
        for start, step in ((1, 300), (301, 250), (551, 150)):
            part = range(start, start + step)
            assert list(await mailbox.describe(part)) == [expected[uid] for uid in part]
            assert list(await mailbox.fields(part, names)) == [pick(data[uid]) for uid in part]

    await go_through()
    helpers = account.accounts.helpers
    await until(lambda: any(each.state() for each in helpers._resting))
    (site.maildir() / "mailaccess" / "text.db").unlink(missing_ok=True)
    await go_through()
    shuffled = chance.sample(uids, 400)
    assert list(await mailbox.describe(shuffled)) == [expected[uid] for uid in shuffled]
    await nap(0.5)
    assert list(await mailbox.search(q.Header("Subject", "number 69"))) == [70, *range(691, 701)]
