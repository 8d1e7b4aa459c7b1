"""
One slapd for the tests of a process, with 5,000 people; others where a test needs its own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor

pytest.register_assert_rewrite("tests.auth.ldap.asking")

from .asking import Asker  # noqa: E402 - after the line above
from .slapd import MANY, Authority, Slapd, running  # noqa: E402

# A domain controller has to be root.
collect_ignore = [] if os.geteuid() == 0 else ["test_active_directory.py"]


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """
    Sockets need short paths.
    """
    place = Path(tempfile.mkdtemp(prefix="ldap-"))
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="session")
def slapd(scratch: Path, authority: Authority) -> Iterator[Slapd]:
    yield from running(scratch / "main", authority, MANY)


@pytest.fixture
def own_slapd(authority: Authority) -> Iterator[Slapd]:
    """
    One that a test may stop.
    """
    place = Path(tempfile.mkdtemp(prefix="ldap-"))
    yield from running(place, authority)
    shutil.rmtree(place)


@pytest.fixture
def second_slapd(authority: Authority) -> Iterator[Slapd]:
    place = Path(tempfile.mkdtemp(prefix="ldap-"))
    yield from running(place, authority)
    shutil.rmtree(place)


@pytest.fixture
def asker(
    scratch: Path, authority: Authority, on_reactor: Callable[[Callable[[], Any]], Any]
) -> Iterator[Asker]:
    """
    Checkers that are stopped after the test.
    """
    made = Asker(scratch, authority, reactor)
    yield made

    async def stop() -> None:
        for each in made.checkers:
            each.stop()
        made.hashes.stop()

    on_reactor(stop)
