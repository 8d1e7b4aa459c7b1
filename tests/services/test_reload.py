"""
Taking in changes while running.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from mailaccess.services.reload import Reloading
from mailaccess.services.settings import TLSSettings
from mailaccess.services.tls import ServerTLS


class Pool:
    """
    Threads that work when they are told to.
    """

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def callInThreadWithCallback(self, done: Any, call: Any, *args: Any, **more: Any) -> None:
        self.waiting.append((done, call, args, more))

    def work(self) -> int:
        waiting, self.waiting = self.waiting, []
        for done, call, args, more in waiting:
            try:
                found = (True, call(*args, **more))
            except Exception:
                found = (False, Failure())
            done(*found)
        return len(waiting)


class Reactor(MemoryReactorClock):
    def callFromThread(self, call: Any, *args: Any, **more: Any) -> None:
        call(*args, **more)


@pytest.fixture
def tls(pem: Path) -> ServerTLS:
    return ServerTLS(TLSSettings(certificate=str(pem), watch=5), Clock())


@pytest.fixture
def running(tls: ServerTLS) -> Any:
    reactor, pool = Reactor(), Pool()
    service = Reloading(reactor, tls, pool=pool)
    service.startService()
    yield service, reactor, pool
    service.stopService()


def test_changed_files_are_used_after_the_next_look(
    running: Any, tls: ServerTLS, pem: Path, certificate_writer: Any
) -> None:
    _, reactor, pool = running
    serial = tls.certificates.default.serial
    reactor.advance(5)
    assert pool.work() == 1
    assert tls.certificates.default.serial == serial
    renewed = certificate_writer(pem, "mail.example.org")
    reactor.advance(5)
    assert tls.certificates.default.serial == serial, "nothing is read on the reactor's thread"
    pool.work()
    assert tls.certificates.default.serial == f"{renewed.serial_number:x}"


def test_looks_do_not_pile_up(running: Any) -> None:
    """A disk that hangs gets one thread, not one every five seconds."""
    _, reactor, pool = running
    for _ in range(10):
        reactor.advance(5)
    assert len(pool.waiting) == 1


def test_hangup_reloads_and_opens_the_log_anew(
    running: Any, tls: ServerTLS, pem: Path, certificate_writer: Any
) -> None:
    service, _, pool = running
    called: list[str] = []
    service.on_hangup += [lambda: 1 / 0, lambda: called.append("log")]
    renewed = certificate_writer(pem, "mail.example.org")
    os.kill(os.getpid(), signal.SIGHUP)
    assert called == ["log"]
    pool.work()
    assert tls.certificates.default.serial == f"{renewed.serial_number:x}"


def test_a_reload_asked_for_during_another_follows_it(
    running: Any, tls: ServerTLS, pem: Path, certificate_writer: Any
) -> None:
    service, _, pool = running
    service.reload()
    done: list[None] = []
    service.reload().addCallback(done.append)
    assert len(pool.waiting) == 1
    pool.work()
    renewed = certificate_writer(pem, "mail.example.org")
    assert not done
    pool.work()
    assert done == [None]
    assert tls.certificates.default.serial == f"{renewed.serial_number:x}"


def test_broken_files_are_not_tried_again_until_they_change(
    running: Any, tls: ServerTLS, pem: Path
) -> None:
    """TLS-15: the log is not filled with one message."""
    _, reactor, pool = running
    serial = tls.certificates.default.serial
    pem.write_bytes(b"nothing")
    reactor.advance(5)
    pool.work()
    assert tls.certificates.default.serial == serial
    assert not tls.stale


def test_signal_handlers_are_put_back(tls: ServerTLS) -> None:
    before = signal.getsignal(signal.SIGHUP)
    service = Reloading(Reactor(), tls)
    service.startService()
    assert signal.getsignal(signal.SIGHUP) != before
    service.stopService()
    assert signal.getsignal(signal.SIGHUP) == before


def test_without_certificates_there_is_nothing_to_reload() -> None:
    service = Reloading(Reactor(), None)
    done: list[None] = []
    service.reload().addCallback(done.append)
    assert done == [None]
