"""
Several servers for one directory: the first that works is asked; search connections are kept.

    state of a server   what happens
    up                  asked, in the order of the configuration
    down                left out; looked at again in the background after 1, 2, 4, ... seconds, at
                        most C{retry}; up again when it answers, and then the first one is first
                        again

A server is down after one failure where another is up, after three in a row where it is the last.
While all are down, logins fail at once and wait for nothing (LD-09). Used by worker threads; what
is told to the reactor goes through C{on_down}.
"""

from __future__ import annotations

import hmac
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import attrs
from twisted.logger import Logger

from .channel import Connector
from .connection import Session
from .deadline import Deadline
from .faults import Closed, NoAnswer, OutOfTime, Unreachable, WrongSetup
from .options import Connecting, Target

log = Logger()

T = TypeVar("T")

FIRST_LOOK = 1.0
_PATIENCE = 3
_REFUSED = 300.0
_IDLE = 240.0
"""Seconds after which an unused search connection is not trusted: firewalls forget it."""


@attrs.define(eq=False)
class Upstream:
    """
    One server.

    @ivar failures: in a row
    @ivar tells: whether it answers "who am I"
    """

    target: Target
    down: bool = False
    failures: int = 0
    tells: bool = True
    idle: list[tuple[Session, float]] = attrs.field(factory=list)


class Upstreams:
    """
    The servers of one directory.
    """

    def __init__(
        self,
        options: Connecting,
        on_down: Callable[[Upstream], object] = lambda upstream: None,
        clock: Callable[[], float] = time.monotonic,
        label: str = "ldap",
    ) -> None:
        self.options = options
        self.connector = Connector(options)
        self.servers = [Upstream(each) for each in options.uris]
        self._on_down = on_down
        self._clock = clock
        self._label = label
        self._lock = threading.Lock()
        self._closed = False
        self._refused = (b"", 0.0, "")

    # ---- which one ------------------------------------------------------------------------------

    def ask(self, work: Callable[[Upstream], T], deadline: Deadline) -> T:
        """
        What C{work} gives with the first server that works.

        @raise Unreachable: none does
        @raise NoAnswer: a password was sent, and nothing came back
        """
        trouble = "all servers are down"
        for upstream in self._up():
            deadline.left()
            began = self._clock()
            try:
                result = work(upstream)
            except NoAnswer as error:
                self.failed(upstream, error.detail)
                raise
            except Unreachable as error:
                self.failed(upstream, error.detail)
                trouble = error.detail
            except OutOfTime:
                # Unless the time went by in our own queue.
                if self._clock() - began >= self.options.answer_timeout / 2:
                    self.failed(upstream, f"{upstream.target.uri}: too slow")
                raise
            else:
                self.worked(upstream)
                return result
        raise Unreachable(trouble)

    def _up(self) -> Iterator[Upstream]:
        for each in self.servers:
            if not each.down:
                yield each

    def worked(self, upstream: Upstream) -> None:
        """
        It answers.
        """
        with self._lock:
            was_down, upstream.down, upstream.failures = upstream.down, False, 0
        if was_down:
            log.info("{label}: {uri} is back", label=self._label, uri=upstream.target.uri)

    def failed(self, upstream: Upstream, detail: str) -> None:
        """
        It does not.
        """
        with self._lock:
            upstream.failures += 1
            others = any(not each.down for each in self.servers if each is not upstream)
            enough = others or upstream.failures >= _PATIENCE
            went = enough and not upstream.down
            upstream.down = upstream.down or enough
        log.warn("{label}: {detail}", label=self._label, detail=detail)
        if went:
            self.forget(upstream)
            instead = "another is asked" if others else "logins fail until it is back"
            log.error(
                "{label}: {uri} is down; {instead}",
                label=self._label,
                uri=upstream.target.uri,
                instead=instead,
            )
            self._on_down(upstream)

    def look(self, upstream: Upstream, deadline: Deadline) -> None:
        """
        Find out whether a server that was down works again.

        @raise Fault: no
        """
        if self.options.bind:
            session = self.service(upstream, deadline)
        else:
            session = self.open(upstream, deadline)
        try:
            # Any answer will do; the entry of the server itself can be read by everybody.
            session.search("", "(objectClass=*)", "base", (), 1, 5)
        except BaseException:
            session.close(politely=False)
            raise
        self.keep(upstream, session)
        self.worked(upstream)

    # ---- connections ----------------------------------------------------------------------------

    def open(self, upstream: Upstream, deadline: Deadline) -> Session:
        """
        A fresh session, bound as nobody.
        """
        return Session(upstream.target, self.connector.open(upstream.target, deadline))

    def service(self, upstream: Upstream, deadline: Deadline) -> Session:
        """
        A fresh session, bound as the account that searches.
        """
        options = self.options
        secret = read_secret(options.password_file) if options.bind == "simple" else b""
        session = self.open(upstream, deadline)
        try:
            if options.bind == "simple":
                self._bind_service(session, secret)
            elif options.bind == "external":
                session.bind_external()
        except BaseException:
            session.close(politely=False)
            raise
        return session

    def _bind_service(self, session: Session, secret: bytes) -> None:
        """
        A password that was refused is not tried with every login: the directory might lock the
        account. One that the file has anew is.
        """
        with self._lock:
            refused, until, detail = self._refused
        if hmac.compare_digest(secret, refused) and self._clock() < until:
            raise WrongSetup(f"{detail}; not tried again with the same password for some minutes")
        try:
            session.bind_service(self.options.bind_dn, secret)
        except WrongSetup as error:
            with self._lock:
                self._refused = secret, self._clock() + _REFUSED, error.detail
            raise

    def forgive(self) -> None:
        """
        Try the account that searches again, even with a password that was refused.
        """
        with self._lock:
            self._refused = (b"", 0.0, "")

    def searching(self, upstream: Upstream, work: Callable[[Session], T], deadline: Deadline) -> T:
        """
        What C{work} gives with a search connection that nobody else uses meanwhile. Once more with
        a fresh one if a kept one turns out to be closed: searching twice does no harm (LD-10).
        """
        session = self._kept(upstream, deadline)
        if session is not None:
            try:
                return self._use(upstream, session, work)
            except Closed:
                self.forget(upstream)
        return self._use(upstream, self.service(upstream, deadline), work)

    def _use(self, upstream: Upstream, session: Session, work: Callable[[Session], T]) -> T:
        good = False
        try:
            result = work(session)
            good = True
            return result
        except WrongSetup:
            # A refused search leaves the connection as it was.
            good = True
            raise
        finally:
            if good:
                self.keep(upstream, session)
            else:
                session.close(politely=False)

    def _kept(self, upstream: Upstream, deadline: Deadline) -> Session | None:
        while True:
            with self._lock:
                if not upstream.idle:
                    return None
                session, since = upstream.idle.pop()
            if self._clock() - since < _IDLE and not session.channel.stale:
                session.channel.lend(deadline)
                return session
            session.close(politely=False)

    def keep(self, upstream: Upstream, session: Session) -> None:
        """
        For the next one who searches; as many as there are threads at most.
        """
        session.channel.rest()
        with self._lock:
            room = len(upstream.idle) < self.options.threads and not self._closed
            room = room and bool(self.options.bind)
            if room:
                upstream.idle.append((session, self._clock()))
        if not room:
            session.close()

    def forget(self, upstream: Upstream) -> None:
        """
        Close the kept connections to a server.
        """
        with self._lock:
            idle, upstream.idle = upstream.idle, []
        for session, _ in idle:
            session.close(politely=False)

    def close(self) -> None:
        """
        Close and keep no more.
        """
        with self._lock:
            self._closed = True
        for each in self.servers:
            self.forget(each)


def read_secret(path: str) -> bytes:
    """
    The first line of a file that only its owner can read (LD-17).

    @raise WrongSetup: it cannot be used
    """
    try:
        with open(path, "rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise WrongSetup(f"{path}: others may read it; chmod 600 {path}")
            secret = file.readline(4096).rstrip(b"\r\n")
    except OSError as error:
        raise WrongSetup(f"{path}: {error.strerror}") from None
    if not secret:
        raise WrongSetup(f"{path}: its first line is empty")
    return secret
