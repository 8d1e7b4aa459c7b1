"""
One server for the tests of a process, and for each test somebody of its own.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.programs.running")

from .running import Desk, Server, Site, serving  # noqa: E402 - after the line above


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.programs)


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    place = Path(tempfile.mkdtemp(prefix="mailaccess-programs-"))
    yield Site(place)
    shutil.rmtree(place)


@pytest.fixture(scope="session")
def server(site: Site) -> Iterator[Server]:
    yield from serving(site)


@pytest.fixture
def desk(server: Server) -> Iterator[Desk]:
    """
    Somebody new; what the server logs meanwhile is looked over. The directory is elsewhere than
    pytest's: sockets need short paths.
    """
    home = Path(tempfile.mkdtemp(prefix="desk-"))
    since = len(server.log.lines)
    yield Desk(server, server.site.person(), home)
    shutil.rmtree(home)
    server.check_log(since)
