"""
The probe: what is asked of a server, over as many connections as it takes.
"""

from __future__ import annotations

import re
import secrets
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs

from .dialects import DIALECTS, IMAP, POP3
from .tlsfacts import anybody
from .wire import Gone, Said, Target, Wire, closing

OK, WARN, BAD = "ok", "warn", "bad"


@attrs.frozen
class Finding:
    """
    What one check found.

    @ivar verdict: C{ok}, C{warn} or C{bad}
    """

    check: str
    verdict: str
    text: str


class NoTLS(Exception):
    """
    TLS did not come about; the text says why.
    """


@attrs.define
class Probe:
    """
    One server.

    @ivar starttls: TLS by command
    @ivar ca: PEM file with the authorities to trust; empty for those of the system
    @ivar transcript: all that was said, without secrets
    """

    target: Target
    starttls: bool
    ca: str = ""
    transcript: list[Said] = attrs.field(factory=list)

    @property
    def has_clear(self) -> bool:
        """
        Whether there is something in the clear.
        """
        return not self.target.implicit

    @property
    def has_tls(self) -> bool:
        """
        Whether there is TLS, one way or the other.
        """
        return self.starttls or self.target.implicit

    def note(self, text: str) -> None:
        """
        A heading in the transcript.
        """
        self.transcript.append(Said("*", text))

    @contextmanager
    def clear(self) -> Iterator[IMAP | POP3]:
        """
        A connection without TLS, greeted.
        """
        with closing(Wire(self.target, self.transcript)) as wire:
            dialect = DIALECTS[self.target.protocol](wire)
            dialect.greeting()
            yield dialect

    @contextmanager
    def secure(
        self, context: ssl.SSLContext | None = None
    ) -> Iterator[tuple[IMAP | POP3, ssl.SSLSocket]]:
        """
        A connection with TLS, greeted.

        @raise NoTLS: it failed
        """
        with closing(Wire(self.target, self.transcript)) as wire:
            dialect = DIALECTS[self.target.protocol](wire)
            if self.starttls:
                dialect.greeting()
                reply = dialect.command(dialect.tls)
                if reply.kind != "ok":
                    raise NoTLS(f"{dialect.tls} is refused: {reply.text}")
            try:
                secured = wire.start_tls(context or anybody())
                if not self.starttls:
                    dialect.greeting()
                yield dialect, secured
            except ssl.SSLError as error:
                raise NoTLS(reason(error)) from error
            except (ConnectionError, TimeoutError) as error:
                raise NoTLS(str(error)) from error


def reason(error: ssl.SSLError) -> str:
    """
    Why TLS failed, in OpenSSL's words.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    text = error.reason or re.sub(r"^\[SSL[^]]*\] *|\(_ssl\.c:\d+\)$", "", str(error))
    return text.replace("_", " ").strip().lower()


def nobody() -> tuple[str, str]:
    """
    A name and a password that are nobody's.
    """
    return f"probe-{secrets.token_hex(4)}", secrets.token_hex(8)


Check = Callable[[Probe], Iterator[Finding]]


def run(probe: Probe, checks: Iterator[Check]) -> list[Finding]:
    """
    What the checks find; one that cannot be carried through is a warning.
    """
    found: list[Finding] = []
    for check in checks:
        name = check.__name__.replace("_", "-")
        probe.note(f"---- {name}")
        try:
            found += check(probe)
        except NoTLS as error:
            found.append(Finding(name, BAD, f"no TLS: {error}"))
        except (Gone, OSError) as error:
            found.append(Finding(name, WARN, f"could not be found out: {error}"))
    return found
