"""
Tables of the documentation that a program makes, and lists that stand in two places.
"""

from __future__ import annotations

import importlib.util
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from mailaccess.auth import passwords
from mailaccess.errors import Refused
from mailaccess.policy.tls import ListenerRule
from mailaccess.protocols.imap.commands import EXTENSIONS
from mailaccess.protocols.pop3.factory import POP3Factory
from mailaccess.protocols.pop3.registry import table as pop3_table
from mailaccess.protocols.sweep import Sweep
from mailaccess.services import logs
from mailaccess.services.settings import Settings
from mailaccess.testing.memory import MemoryAccounts
from mailaccess.testing.people import MemoryChecker, entrance
from mailaccess.testing.talk import Talk
from tests.test_docs import DOCS, ROOT, generate


def test_the_tables_are_complete(tmp_path: Path) -> None:
    generate.write(tmp_path)
    pages = {path.stem: path.read_text("utf-8") for path in tmp_path.glob("*.md")}
    assert set(pages) == set(generate.PAGES)
    for extension in EXTENSIONS:
        for command in extension.commands:
            assert f"`{command.decode()}`" in pages["imap"]
        for word in extension.capabilities:
            assert f"`{word.decode()}`" in pages["imap"]
    for name in pop3_table.commands:
        assert f"`{name}`" in pages["pop3"]
    for name in Settings.__attrs_attrs__:  # type: ignore[attr-defined]
        assert name.name in pages["options"]
    assert "[RFC 3501](https://www.rfc-editor.org/rfc/rfc3501) IMAP4rev1" in pages["rfcs"]
    for name in ("mailaccess check", "mailaccess passwd", "twist mailaccess"):
        assert f"### `{name}`" in pages["command-line"]
    for name in ("connect", "login", "failed", "refused", "logout", "disconnect", "listen"):
        assert f"| `{name}` |" in pages["events"]


def test_generating_again_changes_nothing(tmp_path: Path) -> None:
    generate.write(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    generate.write(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_every_requirement_that_a_test_cites_has_a_meaning() -> None:
    meanings = tomllib.loads((DOCS / "requirements.toml").read_text("utf-8"))
    assert set(generate.cited()) <= set(meanings)


def test_the_table_of_requirements_finds_this_test() -> None:
    """The example here is CODE-03."""
    name = "test_docs_tables.py::test_the_table_of_requirements_finds_this_test"
    assert name in generate.cited()["CODE-03"]
    assert "test_docs_tables.py" in generate.requirements() or len(generate.cited()["CODE-03"]) > 3


def test_the_keys_of_the_log_are_explained() -> None:
    page = (DOCS / "reference/log.md").read_text("utf-8")
    for key in ("time", "event", *logs.ORDER):
        assert f"`{key}`" in page


def test_reasons_in_the_log_are_names_of_refusals() -> None:
    from mailaccess import errors

    page = (DOCS / "reference/log.md").read_text("utf-8")
    reasons = re.findall(r"reason=([A-Z]\w+)|or `([A-Z]\w+)` \|", page)
    assert len(reasons) > 5
    for each in reasons:
        assert issubclass(getattr(errors, each[0] or each[1]), Refused)


def test_a_refusal_names_the_user_as_typed() -> None:
    """POL-05: as the page on the log says; here for POP3, in the tutorial for IMAP."""
    clock = Clock()
    way_in = entrance(
        MemoryChecker({}), MemoryAccounts().enter, clock, rule=ListenerRule(), service="pop3"
    )
    with capturedLogs() as events:
        talk = Talk(POP3Factory(way_in, clock, Sweep(clock)), clock)
        assert talk.send(b"USER Amy")[-1].startswith(b"-ERR")
    (line,) = (logs.key_value_line(it) for it in events if it.get("event") == "refused")
    assert 'user="Amy"' in line
    assert "method=USER" in line


def test_schemes_and_fields_of_the_password_file_are_named() -> None:
    page = (DOCS / "howto/password-file.md").read_text("utf-8")
    named = set(re.findall(r"`([A-Z0-9-]+)`", page))
    assert named <= set(passwords.SCHEMES)
    assert {"ARGON2ID", "BLF-CRYPT", "SHA512-CRYPT", "SSHA512"} <= named


def test_every_dependency_has_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    offered = [each for name in extras if name not in {"dev", "docs"} for each in extras[name]]
    wanted = [*project["dependencies"], *offered]
    page = (DOCS / "explanation/dependencies.md").read_text("utf-8")
    for each in wanted:
        name = re.split(r"[\[<>=; ]", each)[0]
        assert re.search(rf"^\| `{re.escape(name)}\b", page, re.MULTILINE), name


def test_objects_that_the_reference_names_exist() -> None:
    page = (DOCS / "reference/api.md").read_text("utf-8")
    names = re.findall(r"`(mailaccess\.[\w.]+)`", page)
    assert len(names) > 15
    for each in names:
        module, _, last = each.rpartition(".")
        if last[0].isupper():
            assert hasattr(importlib.import_module(module), last), each
        else:
            importlib.import_module(each)


def test_tolerances_are_switches_that_exist() -> None:
    page = (DOCS / "explanation/tolerances.md").read_text("utf-8")
    switches = re.findall(r"^\| `(\w+)` \| `([\w.]+)` \|", page, re.MULTILINE)
    assert len(switches) > 2
    for name, place in switches:
        module, _, last = place.rpartition(".")
        switched = getattr(importlib.import_module(module), last)
        assert name in inspect.signature(switched).parameters


def test_the_changes_can_be_built() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "### New" in done.stdout
