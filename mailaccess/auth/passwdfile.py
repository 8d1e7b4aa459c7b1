"""
Users from a file of hashed passwords.

The file is looked at once a second at most, when somebody logs in; if it changed it is read in a
thread, and logins wait for that. While the new file cannot be used the old content counts, and the
log says so. A line that is wrong is reported with its number and hides no other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from ..errors import AuthenticationFailed, DirectoryUnavailable
from ..interfaces import IChecksPasswords, Identity, IKnowsPeople
from ..policy.mechanism import Coverage, Needs
from .coverage import share
from .interfaces import IFindsUsers, IFollowsUsers, IKnowsKeys, IKnowsSecrets, IMeetsNeeds
from .memory import Fingerprints
from .passwdlines import Contents, Record, read_lines
from .passwords import (
    DEFAULT_LIMITS,
    BadHash,
    Limits,
    ScramKeys,
    in_the_clear,
    is_cheap,
    scram_keys,
    verify,
)
from .pool import HashPool

log = Logger()

_LOOK_EVERY = 1.0
_MAX_SIZE = 128 * 1024 * 1024
_MAX_REPORTED = 20

_SCHEMES_FOR = {
    Needs.SECRET: ("PLAIN", "CLEAR", "CLEARTEXT"),
    Needs.KEYS_SHA1: ("SCRAM-SHA-1",),
    Needs.KEYS_SHA256: ("SCRAM-SHA-256",),
}

Signature = tuple[int, int, int]


class Unusable(Exception):
    """
    A file that replaces nothing.
    """


@implementer(
    IChecksPasswords,
    IKnowsPeople,
    IKnowsSecrets,
    IKnowsKeys,
    IFindsUsers,
    IFollowsUsers,
    IMeetsNeeds,
)
class PasswordFile:
    """
    A checker over one file.

    @ivar label: for the log
    """

    def __init__(
        self,
        path: str,
        pool: HashPool,
        clock: IReactorTime,
        limits: Limits = DEFAULT_LIMITS,
        default_domain: str = "",
        label: str = "",
    ) -> None:
        self.label = label or f"file {path}"
        self._path = path
        self._pool = pool
        self._clock = clock
        self._limits = limits
        self._default_domain = default_domain
        self._contents: Contents | None = None
        self._seen: Signature | None = None
        self._looked: float | None = None
        self._reload: Deferred[None] | None = None
        self._complaint = ""
        self._fingerprints = Fingerprints()

    def load(self) -> tuple[str, ...]:
        """
        Read the file now, on this thread: for start-up and for checking a configuration.

        @return: what is wrong with its lines, C{path:line: text} each
        @raise Unusable: it cannot be read, or has no good line
        """
        self._looked = self._clock.seconds()
        self._seen, self._contents = self._read()
        return tuple(f"{self._path}:{each}" for each in self._contents.problems)

    async def check(self, name: str, secret: bytes, service: str) -> Identity:
        """
        The identity of a name (canonical) with this password. Unknown names take as long as known
        ones.
        """
        contents = await self._current()
        record = contents.find(name)
        if record is not None and record.problem:
            log.error(
                "{path}:{line}: {name!r} cannot log in: {problem}",
                path=self._path,
                line=record.line,
                name=name,
                problem=record.problem,
            )
        stored = record.stored if record is not None else ""
        right = await self._verify(stored or contents.dummy, secret, contents)
        if record is None or not stored:
            raise AuthenticationFailed(detail=f"{self.label}: {name!r} has no password here")
        if not right:
            raise AuthenticationFailed(detail=f"{self.label}: wrong password for {name!r}")
        return self._identity(record)

    async def attributes(self, name: str) -> Mapping[str, str] | None:
        """
        The extra fields of a name, with C{policy_source} for where they are written.
        """
        contents = await self._current()
        record = contents.find(name)
        if record is None:
            return None
        return {**record.fields(), "policy_source": self._where(record)}

    async def recoverable(self, name: str) -> tuple[Identity, bytes] | None:
        """
        Only of C{{PLAIN}} entries, where those are allowed at all.
        """
        record = (await self._current()).find(name)
        secret = in_the_clear(record.stored, self._limits) if record is not None else None
        if record is None or secret is None:
            return None
        return self._identity(record), secret

    async def keys(self, name: str, scheme: str) -> tuple[Identity, ScramKeys] | None:
        """
        Of C{{SCRAM-SHA-256}} and C{{SCRAM-SHA-1}} entries.
        """
        record = (await self._current()).find(name)
        keys = scram_keys(record.stored, scheme, self._limits) if record is not None else None
        if record is None or keys is None:
            return None
        return self._identity(record), keys

    def usual(self, scheme: str) -> tuple[int, int] | None:
        """
        Of most entries of this scheme.
        """
        return self._contents.usual.get(scheme) if self._contents is not None else None

    async def person(self, name: str) -> Identity | None:
        """
        Whoever may log in by their line: those with a password that can be used, and C{{NONE}}.
        """
        record = (await self._current()).find(name)
        return self._identity(record) if record is not None and record.usable else None

    def follows(self, name: str) -> bool:
        """
        Who is not in the file is not there.
        """
        return True

    async def standing(self, name: str) -> Identity | None:
        """
        The same: nobody is locked for a while.
        """
        return await self.person(name)

    def coverage(self, needs: Needs) -> Coverage:
        """
        As the file is now.
        """
        contents = self._contents
        if needs not in _SCHEMES_FOR:
            return Coverage.ALL
        if contents is None:
            return Coverage.NONE
        having = sum(contents.schemes.get(each, 0) for each in _SCHEMES_FOR[needs])
        return share(having, contents.users)

    def _identity(self, record: Record) -> Identity:
        mark = self._fingerprints.of(record.name, record.stored.encode("utf-8", "surrogateescape"))
        return Identity(
            record.name, record.home, record.fields(), self.label, mark=f"file={mark[:12].hex()}"
        )

    def _where(self, record: Record) -> str:
        return f"{self._path}:{record.line}"

    async def _verify(self, stored: str, secret: bytes, contents: Contents) -> bool:
        try:
            # A cheap hash takes less time than handing it to a thread would.
            if is_cheap(stored):
                return verify(stored, secret, self._limits)
            return await self._pool.run(verify, stored, secret, self._limits)
        except BadHash as error:
            log.error("{path}: a hash failed: {reason}", path=self._path, reason=error.reason)
            if stored == contents.dummy:
                return False
            await self._verify(contents.dummy, secret, contents)
            return False

    # ---- the file, as it is now -----------------------------------------------------------------

    async def _current(self) -> Contents:
        await self._look()
        if self._contents is None:
            raise DirectoryUnavailable(detail=f"{self._path} was never readable")
        return self._contents

    async def _look(self) -> None:
        now = self._clock.seconds()
        due = self._looked is None or now - self._looked >= _LOOK_EVERY
        if self._reload is None and due:
            self._looked = now
            if self._seen is None or self._signature() != self._seen:
                self._reload = Deferred()
                Deferred.fromCoroutine(self._replace()).addErrback(
                    lambda failure: log.failure("{path}", failure, path=self._path)
                )
        if self._reload is not None:
            await _wait_for(self._reload)

    def _signature(self) -> Signature | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    async def _replace(self) -> None:
        """
        Take the new content, or say why not; wake those who wait.
        """
        try:
            seen, contents = await self._pool.run(self._read)
        except (Unusable, DirectoryUnavailable) as error:
            reason = error.detail if isinstance(error, DirectoryUnavailable) else str(error)
            self._complain(reason)
        else:
            self._seen, self._contents = seen, contents
            self._report(contents)
        finally:
            waiting, self._reload = self._reload, None
            if waiting is not None:
                waiting.callback(None)

    def _read(self) -> tuple[Signature, Contents]:
        """
        Signature and content of the file; runs in a thread and touches nothing of this object.
        """
        try:
            with open(self._path, "rb") as file:
                found = os.fstat(file.fileno())
                if found.st_size > _MAX_SIZE:
                    raise Unusable(f"over {_MAX_SIZE} octets")
                text = file.read(_MAX_SIZE)
        except OSError as error:
            raise Unusable(error.strerror or "not readable") from None
        contents = read_lines(text, self._limits, self._default_domain)
        if contents.problems and not contents.lines:
            raise Unusable(f"no good line; {contents.problems[0]}")
        return (found.st_mtime_ns, found.st_size, found.st_ino), contents

    def _complain(self, reason: str) -> None:
        if reason != self._complaint:
            self._complaint = reason
            kept = "the old content is kept" if self._contents is not None else "nobody can log in"
            log.error("{path}: {reason}; {kept}", path=self._path, reason=reason, kept=kept)

    def _report(self, contents: Contents) -> None:
        self._complaint = ""
        for problem in contents.problems[:_MAX_REPORTED]:
            log.warn("{path}:{problem}", path=self._path, problem=problem)
        log.info(
            "{path}: {users} users, {problems} bad lines",
            path=self._path,
            users=len(contents.lines),
            problems=len(contents.problems),
        )


def _wait_for(shared: Deferred[None]) -> Deferred[None]:
    """
    Fires with C{shared}; cancelling it leaves the others waiting.
    """
    own: Deferred[None] = Deferred()

    def pass_on(result: None) -> None:
        if not own.called:
            own.callback(None)

    shared.addCallback(pass_on)
    return own
