"""
Checks of what a server does with TLS, and inside it.
"""

from __future__ import annotations

from collections.abc import Iterator

from .probing import BAD, OK, WARN, Finding, NoTLS, Probe
from .tlsfacts import (
    BROKEN,
    OLD,
    VERSIONS,
    certificate_of,
    days_left,
    identity_problem,
    only,
    speaking,
    verifying,
)

LEAST_BITS = 128
SOON = 14
"""Days before its end in which a certificate is warned of."""


def certificate(probe: Probe) -> Iterator[Finding]:
    """
    Chain, name and date.
    """
    with probe.secure() as (_, secured):
        shown = certificate_of(secured)
    if shown is None:
        yield Finding("certificate", BAD, "the server shows none")
        return
    subject = shown.subject.rfc4514_string()
    try:
        with probe.secure(verifying(probe.ca)):
            yield Finding("certificate-chain", OK, f"{subject} is signed by who is trusted")
    except NoTLS as error:
        yield Finding("certificate-chain", BAD, f"{subject} is not trusted: {error}")
    problem = identity_problem(shown, probe.target.expected)
    text = problem or f"the certificate is for {probe.target.expected}"
    yield Finding("server-identity", BAD if problem else OK, text)
    days, end = days_left(shown), f"{shown.not_valid_after_utc:%Y-%m-%d}"
    if days < 0:
        yield Finding("certificate-expiry", BAD, f"expired on {end}")
    else:
        verdict = WARN if days < SOON else OK
        yield Finding("certificate-expiry", verdict, f"good until {end}, {days} days")


def versions(probe: Probe) -> Iterator[Finding]:
    """
    RFC 8997: TLS 1.2 and newer.
    """
    spoken = []
    for name, version in VERSIONS.items():
        context = only(version)
        if context is None:
            continue
        try:
            with probe.secure(context):
                spoken.append(name)
        except NoTLS as error:
            probe.note(f"{name}: {error}")
    old = [each for each in spoken if each in ("TLS 1.0", "TLS 1.1")]
    if old:
        yield Finding("tls-versions", BAD, f"speaks {', '.join(old)}, which are broken")
    elif "TLS 1.3" not in spoken:
        yield Finding("tls-versions", WARN, f"no TLS 1.3; speaks {', '.join(spoken) or 'none'}")
    else:
        yield Finding("tls-versions", OK, f"speaks {', '.join(spoken)}")


def ciphers(probe: Probe) -> Iterator[Finding]:
    """
    RFC 9325 section 4.1; RFC 2595 section 2.3: a layer that protects nothing is none.
    """
    with probe.secure() as (_, secured):
        name, version, bits = secured.cipher() or ("none", "", 0)
    strong = bits >= LEAST_BITS
    text = f"{version} {name}, {bits} bits"
    yield Finding("cipher-strength", OK if strong else BAD, text)
    for check, wanted, verdict, words in (
        ("cipher-broken", BROKEN, BAD, "takes a cipher that protects nothing"),
        ("cipher-old", OLD, WARN, "takes a cipher without forward secrecy"),
    ):
        context = only(VERSIONS["TLS 1.2"], wanted)
        if context is None:
            yield Finding(check, OK, "not known to this machine, and so not tried")
            continue
        try:
            with probe.secure(context) as (_, secured):
                yield Finding(check, verdict, f"{words}: {(secured.cipher() or ('',))[0]}")
        except NoTLS:
            yield Finding(check, OK, "refused")


def alpn(probe: Probe) -> Iterator[Finding]:
    """
    RFC 7301: a client that speaks only something else is turned away (ALPACA).
    """
    try:
        with probe.secure(speaking("http/1.1")):
            yield Finding("alpn-other", WARN, "takes a client that speaks http/1.1 only")
    except NoTLS as error:
        yield Finding("alpn-other", OK, f"turned away: {error}")
    try:
        with probe.secure(speaking(probe.target.protocol)) as (_, secured):
            chosen = secured.selected_alpn_protocol() or "nothing"
            yield Finding("alpn-own", OK, f"chooses {chosen}")
    except NoTLS as error:
        yield Finding("alpn-own", BAD, f"turns away {probe.target.protocol}: {error}")


def offers_inside_tls(probe: Probe) -> Iterator[Finding]:
    """
    RFC 2595 section 3.1: STARTTLS and LOGINDISABLED are gone.
    """
    with probe.secure() as (it, _):
        words = it.capabilities()
    probe.note("inside TLS: " + ", ".join(words))
    wrong = [each for each in (it.tls, "LOGINDISABLED") if each in words]
    if wrong:
        yield Finding("offers-inside-tls", BAD, f"still there: {', '.join(wrong)}")
    elif not words:
        yield Finding("offers-inside-tls", WARN, "no capabilities")
    else:
        sasl = it.mechanisms(words)
        own = [f"{it.login_command} (command)"] if it.takes_passwords(words) else []
        yield Finding("offers-inside-tls", OK, f"logins: {', '.join([*own, *sasl]) or 'none'}")


def sasl_cancel(probe: Probe) -> Iterator[Finding]:
    """
    RFC 3501 section 6.2.2: C{*} cancels, with BAD; RFC 5034 section 4: with -ERR. The session goes
    on.
    """
    with probe.secure() as (it, _):
        there = [each for each in it.mechanisms(it.capabilities()) if each in ("PLAIN", "LOGIN")]
        if not there:
            return
        begun = it.authenticate(there[0])
        if begun.kind != "more":
            text = f"{there[0]} does not begin: {begun.text}"
            yield Finding("sasl-cancel", WARN, text)
            return
        reply = it.respond("*", "*")
        usable = bool(it.capabilities())
    right = "bad" if it.name == "imap" else "no"
    verdict = OK if reply.kind == right and usable else WARN
    after = "" if usable else ", and the session is not usable afterwards"
    yield Finding("sasl-cancel", BAD if reply.kind == "ok" else verdict, reply.text + after)
