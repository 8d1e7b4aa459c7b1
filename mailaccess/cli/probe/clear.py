"""
Checks of what a server does before there is TLS, and on the way to it.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from .dialects import IMAP, POP3, Reply, said_good_bye
from .probing import BAD, OK, WARN, Finding, Probe, nobody, reason
from .tlsfacts import anybody
from .wire import Gone

_SASL = ("PLAIN", "LOGIN")


def offers_in_the_clear(probe: Probe) -> Iterator[Finding]:
    """
    RFC 3501 section 11.2, RFC 2595 section 3.2: nothing that gives a password away.
    """
    with probe.clear() as it:
        words = it.capabilities()
    probe.note("before TLS: " + ", ".join(words))
    if probe.starttls:
        there = it.tls in words
        text = f"{it.tls} is offered" if there else f"{it.tls} is not offered"
        yield Finding("starttls-offered", OK if there else BAD, text)
    offered = [each for each in it.mechanisms(words) if each in _SASL]
    if it.takes_passwords(words):
        offered.insert(0, f"{it.login_command} (command)")
    if offered:
        text = f"offered in the clear: {', '.join(offered)}"
        yield Finding("passwords-offered-in-the-clear", BAD, text)
    else:
        yield Finding("passwords-offered-in-the-clear", OK, "none")


def password_in_the_clear(probe: Probe) -> Iterator[Finding]:
    """
    What LOGIN, or USER, really answers, to a name and a password that are nobody's.

    RFC 2595 section 3.2: where it is disabled, a tagged NO.
    """
    name = "password-in-the-clear"
    with probe.clear() as it:
        reply = it.login(*nobody())
    if _looked_at(reply):
        yield Finding(name, BAD, f"the password was looked at: {reply.text}")
    elif reply.kind == "bad":
        yield Finding(name, WARN, f"refused with BAD, where NO is right: {reply.text}")
    else:
        asked = reply.kind == "no" and it.name == "pop3" and _asked_for_password(probe)
        why = "refused after the password was sent" if asked else "refused"
        yield Finding(name, WARN if asked else OK, f"{why}: {reply.text}")


def _looked_at(reply: Reply) -> bool:
    said = reply.text.upper()
    if reply.kind == "ok" or any(each in said for each in _POLICY):
        return reply.kind == "ok"
    return any(each in said for each in _WRONG)


_POLICY = ("TLS", "SSL", "PRIVACY", "ENCRYPT", "SECURE", "LAYER")
_WRONG = ("AUTHENTICATIONFAILED", "[AUTH]", "AUTHENTICATION FAILED", "LOGIN FAILED")
"""What servers say of a password that is wrong, and of one that they do not look at."""


def _asked_for_password(probe: Probe) -> bool:
    return any(each.text.startswith("PASS ") for each in probe.transcript[-4:])


def literal_in_the_clear(probe: Probe) -> Iterator[Finding]:
    """
    Whether LOGIN with a literal is refused before the literal is granted. IMAP only.
    """
    with probe.clear() as it:
        if not isinstance(it, IMAP):
            return
        reply = it.command("LOGIN {5}")
    asked = reply.kind == "more"
    text = "the name is asked for, and refused later" if asked else f"refused: {reply.text}"
    yield Finding("literal-in-the-clear", WARN if asked else OK, text)


def sasl_in_the_clear(probe: Probe) -> Iterator[Finding]:
    """
    Whether AUTHENTICATE PLAIN and LOGIN ask for a password, whatever is advertised.
    """
    for mechanism in _SASL:
        name = f"sasl-{mechanism.lower()}-in-the-clear"
        with probe.clear() as it:
            reply = it.authenticate(mechanism)
            if reply.kind != "more":
                yield Finding(name, OK, f"refused: {reply.text}")
                continue
            reply = it.finish(mechanism, reply, *nobody())
        if _looked_at(reply):
            yield Finding(name, BAD, f"asked for a password and looked at it: {reply.text}")
        else:
            yield Finding(name, WARN, f"asked for a password before it was refused: {reply.text}")


def starttls_injection(probe: Probe) -> Iterator[Finding]:
    """
    Whether a command that came behind STARTTLS in the clear is run inside TLS (CVE-2011-0411).
    """
    yield _behind_starttls(probe, "starttls-injection", "", "a whole command")


def starttls_split(probe: Probe) -> Iterator[Finding]:
    """
    Whether half a command from before TLS is joined with what comes inside.
    """
    yield _behind_starttls(probe, "starttls-split", "half", "half a command")


def _behind_starttls(probe: Probe, name: str, half: str, what: str) -> Finding:
    with probe.clear() as it:
        command = it.injected
        cut = len(command) - 4 if half else len(command)
        before, inside = command[:cut], command[cut:]
        start = f"{it.tag()} {it.tls}" if isinstance(it, IMAP) else it.tls
        line = f"{start}\r\n{before}"
        it.wire.raw(line.encode("ascii"), line.replace("\r\n", " CRLF "))
        try:
            reply = it.answer("p1") if isinstance(it, IMAP) else it.answer()
        except Gone:
            if it.wire.ended:
                return Finding(name, OK, f"{what} ended the connection")
            raise
        if reply.kind != "ok":
            return Finding(name, WARN, f"{it.tls} is refused: {reply.text}")
        try:
            it.wire.start_tls(anybody())
        except ssl.SSLError as error:
            if it.wire.unread:
                return Finding(name, BAD, f"{what} was answered in the clear")
            return Finding(name, OK, f"{what} was given to TLS: {reason(error)}")
        except ConnectionError as error:
            return Finding(name, OK, f"{what} ended the connection: {error}")
        if inside:
            it.wire.raw(inside.encode("ascii"), inside.strip())
        try:
            ran = _ran(it, half)
        except Gone as gone:
            return Finding(name, OK, f"{what} ended the connection: {gone}")
    if ran:
        return Finding(name, BAD, f"{what} from before TLS was run inside TLS")
    return Finding(name, OK, f"{what} was dropped")


def _ran(it: IMAP | POP3, half: str) -> bool:
    """
    Whether an answer to the injected command comes.
    """
    if isinstance(it, IMAP):
        reply = it.command("NOOP")
        return any(each.startswith("x1 ") for each in (*reply.extra, reply.text))
    if half:
        return it.answer().kind == "ok"
    # Its own answer is an error; that to CAPA is none.
    return it.command("CAPA").kind != "ok"


def starttls_twice(probe: Probe) -> Iterator[Finding]:
    """
    RFC 9051 section 6.2.1, RFC 2595 section 4: refused inside TLS; the session goes on.
    """
    with probe.secure() as (it, _):
        reply = it.command(it.tls)
        usable = bool(it.capabilities()) if reply.kind != "ok" else False
    if reply.kind == "ok":
        yield Finding("starttls-twice", BAD, f"begins TLS within TLS: {reply.text}")
    elif reply.kind != "bad" and it.name == "imap":
        yield Finding("starttls-twice", WARN, f"refused, where BAD is right: {reply.text}")
    elif not usable:
        yield Finding("starttls-twice", WARN, "refused, and the session is not usable afterwards")
    else:
        yield Finding("starttls-twice", OK, f"refused: {reply.text}")


def http_on_the_port(probe: Probe) -> Iterator[Finding]:
    """
    Whether a browser can be made to speak to the server: commands in the body of a request.
    """
    name = "http-on-the-port"
    if probe.has_clear:
        with probe.clear() as it:
            yield _http(name, it, probe)
    else:
        with probe.secure() as (it, _):
            yield _http(name, it, probe)


def _http(name: str, it: IMAP | POP3, probe: Probe) -> Finding:
    request = f"POST / HTTP/1.1\r\nHost: {probe.target.name}\r\n\r\n{it.http_body}"
    before = len(probe.transcript) + 1
    it.wire.raw(request.encode("ascii"), "POST / HTTP/1.1 ... " + it.http_body.replace("\r\n", " "))
    ended = said_good_bye(it)
    answers = [each.text for each in probe.transcript[before:] if each.who == "S"]
    if any(each.startswith(it.ran) for each in answers):
        return Finding(name, WARN, "commands in the body of a web request are run")
    return Finding(name, OK, "the connection ends" if ended else "nothing in it is run")
