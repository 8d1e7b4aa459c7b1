"""
The client's half of a login, with a password: for L{mailaccess.services.trial}.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Generator
from secrets import token_hex

from .stage import Visitor

PATIENCE = 12_000
"""Turns of waiting for an answer: a minute, more than any deadline of a directory."""

Script = Generator[bytes, bytes, None]
"""Gives a response to each challenge; what it gives before the first one counts for nothing."""


def plain(name: str, secret: bytes) -> Script:
    """
    RFC 4616.
    """
    yield b""
    yield b"\0%b\0%b" % (name.encode("utf-8"), secret)


def login(name: str, secret: bytes) -> Script:
    """
    Two answers to two prompts.
    """
    yield b""
    yield name.encode("utf-8")
    yield secret


def cram_md5(name: str, secret: bytes) -> Script:
    """
    RFC 2195 section 2.
    """
    challenge = yield b""
    digest = hmac.new(secret, challenge, hashlib.md5).hexdigest()
    yield f"{name} {digest}".encode()


def scram(digest: str) -> Callable[[str, bytes], Script]:
    """
    RFC 5802 section 3, without channel binding.
    """

    def script(name: str, secret: bytes) -> Script:
        quoted = name.replace("=", "=3D").replace(",", "=2C")
        bare = f"n={quoted},r={token_hex(12)}"
        yield b""
        first = (yield f"n,,{bare}".encode()).decode("utf-8")
        said = dict(each.split("=", 1) for each in first.split(",") if "=" in each)
        end = f"c=biws,r={said['r']}"
        salted = hashlib.pbkdf2_hmac(digest, secret, b64decode(said["s"]), int(said["i"]))
        key = hmac.digest(salted, b"Client Key", digest)
        stored = hashlib.new(digest, key).digest()
        signature = hmac.digest(stored, f"{bare},{first},{end}".encode(), digest)
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        yield f"{end},p={b64encode(proof).decode('ascii')}".encode()
        yield b""

    return script


SCRIPTS: dict[str, Callable[[str, bytes], Script]] = {
    "PLAIN": plain,
    "LOGIN": login,
    "CRAM-MD5": cram_md5,
    "SCRAM-SHA-1": scram("sha1"),
    "SCRAM-SHA-256": scram("sha256"),
}
"""SASL mechanisms that a password is enough for."""

PASSWORDS = (*SCRIPTS, "LOGIN command", "USER", "APOP")
"""All ways to log in that a password is enough for."""


async def log_in(
    visitor: Visitor,
    protocol: str,
    mechanism: str,
    name: str,
    secret: bytes,
    wait: Callable[[], Awaitable[None]],
) -> tuple[str, str]:
    """
    Log in; the command, without secrets, and the answer that ends it.

    @param wait: a short while
    """
    said, lines = _script(visitor, protocol, mechanism, name, secret)
    answer = ""
    line: bytes | None = next(lines)
    while line is not None:
        visitor.protocol.dataReceived(line + b"\r\n")
        answer = await _answer(visitor, wait)
        ended = answer.startswith(("-ERR", "a ", "no answer"))
        line = None if ended else lines.send(answer.encode("utf-8"))
    return said, answer


async def _answer(visitor: Visitor, wait: Callable[[], Awaitable[None]]) -> str:
    for _ in range(PATIENCE):
        lines = b"".join(visitor.transport.written).decode("utf-8", "replace").split("\r\n")
        last = [each for each in lines if each and not each.startswith("* ")]
        if last:
            visitor.transport.written.clear()
            return last[-1]
        await wait()
    return "no answer"


def _script(
    visitor: Visitor, protocol: str, mechanism: str, name: str, secret: bytes
) -> tuple[str, Generator[bytes | None, bytes, None]]:
    raw = name.encode("utf-8")
    if mechanism == "LOGIN command":
        words = b"a LOGIN %b %b" % (_quoted(raw), _quoted(secret))
        return "a LOGIN", _lines(words)
    if mechanism == "USER":
        return "USER, PASS", _lines(b"USER " + raw, b"PASS " + secret)
    if mechanism == "APOP":
        banner = visitor.greeting[visitor.greeting.find(b"<") :].strip()
        digest = hashlib.md5(banner + secret, usedforsecurity=False).hexdigest()
        return "APOP", _lines(b"APOP %b %b" % (raw, digest.encode("ascii")))
    verb = "a AUTHENTICATE" if protocol == "imap" else "AUTH"
    return f"{verb} {mechanism}", _sasl(f"{verb} {mechanism}", SCRIPTS[mechanism](name, secret))


def _lines(*lines: bytes) -> Generator[bytes | None, bytes, None]:
    waiting = [*reversed(lines)]
    while waiting:
        yield waiting.pop()
    yield None


def _sasl(command: str, script: Script) -> Generator[bytes | None, bytes, None]:
    """
    Without an initial response, so that all mechanisms are the same.
    """
    next(script)
    answer = yield command.encode("ascii")
    while answer.startswith(b"+ "):
        try:
            answer = yield b64encode(script.send(b64decode(answer[2:])))
        except StopIteration:
            answer = yield b"*"
    yield None


def _quoted(raw: bytes) -> bytes:
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
