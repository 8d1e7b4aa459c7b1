"""
Key sets (JWKS: RFC 7517) of those who sign tokens: from a file, or from an address.

    keys = KeyFile("/etc/mailaccess/keys.json")
    keys = KeyAddress("https://id.example.org/keys", Web(reactor), time.monotonic)
    await keys.ready("key-1")           # whatever has to be fetched for it
    keys.current()["key-1"]             # in a thread

A file is read again when it changes. What is at an address is fetched when it is first needed,
again every hour, and when a token names a key that is not among those at hand, since issuers change
keys; for that at most once a minute, as anybody can name keys. If the issuer cannot be reached, the
keys at hand are good for a day, and the log says so; without any, it is tried every few seconds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, Protocol

import jwt
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from ..errors import DirectoryUnavailable
from .endpoints import MOST_OCTETS

REFRESH = 3600.0
KEEP = 86_400.0
AGAIN = 60.0
PAUSE = 5.0
"""Seconds between tries while there are no keys."""

_MOST_KEYS = 100

log = Logger()

_ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)


class Keys(Protocol):
    """
    Where keys come from.
    """

    async def ready(self, kid: str | None) -> None:
        """
        Fetch what has to be fetched before a token of that key can be looked at.

        @raise DirectoryUnavailable: there are no keys to be had
        """

    def current(self) -> dict[str, Any]:
        """
        The keys by name. Runs in a thread.

        @raise DirectoryUnavailable: there are no keys to be had
        """


class KeyFile:
    """
    A key set in a file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._read: tuple[tuple[int, int, int], dict[str, Any]] | None = None

    async def ready(self, kid: str | None) -> None:
        """
        Nothing: a file is looked at in the thread.
        """

    def current(self) -> dict[str, Any]:
        """
        The keys of the file as it is now.
        """
        try:
            with open(self._path, "rb") as file:
                about = os.fstat(file.fileno())
                seen = (about.st_mtime_ns, about.st_size, about.st_ino)
                if self._read is not None and self._read[0] == seen:
                    return self._read[1]
                text = file.read(MOST_OCTETS)
        except OSError as error:
            raise DirectoryUnavailable(detail=f"{self._path}: {type(error).__name__}") from None
        keys = parsed(text, self._path)
        self._read = (seen, keys)
        return keys


class KeyAddress:
    """
    A key set that its issuer publishes.
    """

    def __init__(
        self, address: str, fetch: Callable[[str], Deferred[bytes]], clock: Callable[[], float]
    ) -> None:
        """
        @param fetch: L{mailaccess.auth.issuer.Web.get}
        @param clock: seconds, monotonic
        """
        self._address = address
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, Any] = {}
        self._fetched = self._tried = -KEEP
        self._waiting: list[Deferred[None]] | None = None
        self._fault = ""

    async def ready(self, kid: str | None) -> None:
        """
        Fetch the set if it is not there, old, or lacks that key. Those who need it at once wait
        for one and the same answer.
        """
        now = self._clock()
        missing = not self._keys or (kid is not None and kid not in self._keys)
        due = now - self._fetched >= REFRESH or missing
        pause = AGAIN if self._keys else PAUSE
        if due and self._waiting is None and now - self._tried >= pause:
            self._tried = now
            self._waiting = []
            self._fetch(self._address).addCallbacks(self._came, self._failed)
        if self._waiting is not None and (missing or now - self._fetched >= KEEP):
            waiter: Deferred[None] = Deferred()
            self._waiting.append(waiter)
            await waiter

    def current(self) -> dict[str, Any]:
        """
        The keys as last fetched.
        """
        if not self._keys or self._clock() - self._fetched >= KEEP:
            since = "for a day" if self._keys else "yet"
            raise DirectoryUnavailable(
                detail=f"{self._address}: no keys {since}: {self._fault or 'not asked'}"
            )
        return self._keys

    def _came(self, text: bytes) -> None:
        try:
            self._keys = parsed(text, self._address)
        except DirectoryUnavailable as error:
            self._end(error)
        else:
            self._fetched = self._clock()
            self._end(None)

    def _failed(self, failure: Any) -> None:
        self._end(failure.value)

    def _end(self, error: Exception | None) -> None:
        self._fault = "" if error is None else getattr(error, "detail", "") or repr(error)
        if error is not None and self._keys:
            log.warn(
                "{address}: keys cannot be fetched; those at hand are good until a day after"
                " they came: {fault}",
                address=self._address,
                fault=self._fault,
            )
        waiting, self._waiting = self._waiting or [], None
        for each in waiting:
            # With keys at hand a token is judged by those.
            if error is None or self._keys:
                each.callback(None)
            else:
                each.errback(error)


def parsed(text: bytes, where: str) -> dict[str, Any]:
    """
    The keys of a set that can be used: pairs of keys, for signatures.

    @param where: the file or address, for the log
    @raise DirectoryUnavailable: it is no key set
    """
    try:
        found = json.loads(text.decode("utf-8"))
        if len(found["keys"]) > _MOST_KEYS:
            raise DirectoryUnavailable(detail=f"{where}: more than {_MOST_KEYS} keys")
        made = jwt.PyJWKSet.from_dict(found).keys
    except KeyError:
        raise DirectoryUnavailable(detail=f"{where}: no key set: has no member 'keys'") from None
    except (ValueError, TypeError, AttributeError, RecursionError, jwt.PyJWTError) as error:
        raise DirectoryUnavailable(detail=f"{where}: {type(error).__name__}") from None
    return {
        str(each.key_id): each
        for each in made
        if each.algorithm_name in _ALGORITHMS and each.public_key_use in (None, "sig")
    }
