"""
CAPA, USER, PASS, AUTH, STLS, UTF8, LANG, QUIT: what can be said before a login, and some of it
after.
"""

from __future__ import annotations

from base64 import b64encode
from functools import partial

from ... import __version__
from ...auth.credentials import APOPLogin
from ...auth.names import BadName, decode_name
from ...errors import AuthenticationFailed, BadSyntax, Refused
from ...policy.mechanism import APOP, USER_PASS
from ...policy.rules import is_tls
from ...wire.framing import Overlong
from ...wire.grammar.names import decode_base64
from ...wire.pop3 import COMMAND_LIMIT
from ..login import claimed_name, sasl_dialogue
from .registry import State, table
from .server import POP3Server

RESPONSE = 16384
"""Octets of a SASL response, base64 included; commands stay at 255 (RFC 5034 section 4)."""

LANGUAGES = {b"en": b"English"}


class NotPermitted(Refused):
    """
    A command that is there, but not now.
    """

    public = "Command not permitted"


def tls_offered(server: POP3Server) -> bool:
    """
    Whether STLS can be given now.
    """
    return (
        server.state is State.AUTHORIZATION
        and server.entrance.tls is not None
        and not is_tls(server.link)
    )


def capabilities(server: POP3Server) -> list[bytes]:
    """
    What is there now (RFC 2449 section 5); what is not permitted now is not listed.
    """
    options = server.options
    words = [
        b"TOP",
        b"UIDL",
        b"RESP-CODES",
        b"AUTH-RESP-CODE",
        b"PIPELINING",
        b"UTF8 USER",
        b"LANG",
    ]
    words.append(b"EXPIRE NEVER" if options.expire is None else b"EXPIRE %d" % options.expire)
    if options.login_delay:
        words.append(b"LOGIN-DELAY %d" % options.login_delay)
    if server.state is State.AUTHORIZATION:
        if server.decide(USER_PASS).allowed:
            words.append(b"USER")
        mechanisms = server.sasl_mechanisms()
        if mechanisms:
            words.append(b"SASL " + " ".join(mechanisms).encode("ascii"))
        if tls_offered(server):
            words.append(b"STLS")
    else:
        # Only to those who are in (CODE-03).
        words.append(b"IMPLEMENTATION mailaccess-" + __version__.encode("ascii"))
    return words


@table.command("CAPA", State.ANY)
async def capa(server: POP3Server, arguments: list[bytes]) -> None:
    """
    RFC 2449 section 5.
    """
    server.listing(b"Capabilities", capabilities(server))


@table.command("STLS", State.AUTHORIZATION)
async def stls(server: POP3Server, arguments: list[bytes]) -> None:
    """
    Begin TLS right after the reply; what the client sent behind the command belongs to TLS.

    RFC 2595 section 4; RFC 6856 section 2.1: not after UTF8.
    """
    if is_tls(server.link):
        raise NotPermitted("Command not permitted when TLS active")
    if not tls_offered(server) or server.utf8:
        raise NotPermitted
    server.ok(b"Begin TLS negotiation")
    server.tls_after_reply()


@table.command("USER", State.AUTHORIZATION, 1, raw=True)
async def user(server: POP3Server, arguments: list[bytes]) -> None:
    """
    The answer does not tell whether there is such a user; somebody whom the policy refuses is told
    here, before the password is sent, unless the site wants it at PASS.

    RFC 1939 section 7; RFC 2595 section 4.
    """
    try:
        name = decode_name(arguments[0])
    except BadName:
        name = ""
    if server.options.refuse_at == "user":
        with server.noting_refusal(USER_PASS) as known:
            known.name = name
            try:
                server.refuse_early(USER_PASS)
                if name:
                    await server.refuse_name(USER_PASS, name)
            except Refused as refused:
                server.turned_away = name, refused
                raise
    server.user_name = name
    server.ok(b"Send the password")


@table.command("PASS", State.AUTHORIZATION, 0, 1, raw=True)
async def password(server: POP3Server, arguments: list[bytes]) -> None:
    """
    RFC 1939 section 7: spaces are part of the password.
    """
    name, server.user_name = server.user_name, None
    if name is None:
        if arguments:
            # A client that does not wait for the answer to USER has shown it all the same.
            server.note_exposure(USER_PASS, *server.turned_away)
        raise BadSyntax("USER before PASS")
    with server.noting_refusal(USER_PASS, sent=bool(arguments)) as known:
        known.name = name
        server.refuse_early(USER_PASS)
        if not name or not arguments:
            raise AuthenticationFailed(detail="empty or impossible name or password")
    await server.log_in(server.password_login(USER_PASS, name, arguments[0]))


@table.command("APOP", State.AUTHORIZATION, 2)
async def apop(server: POP3Server, arguments: list[bytes]) -> None:
    """
    RFC 1939 section 7. The digest is compared where the password is kept.
    """
    with server.noting_refusal(APOP):
        server.refuse_early(APOP)
        try:
            name = decode_name(arguments[0])
        except BadName as bad:
            raise AuthenticationFailed(detail=f"name not possible: {bad}") from None
    await server.log_in(APOPLogin(name, server.banner, arguments[1], server.link, APOP, "pop3"))


@table.command("AUTH", State.AUTHORIZATION, 0, 2)
async def auth(server: POP3Server, arguments: list[bytes]) -> None:
    """
    A SASL exchange, with or without an initial response; without arguments, the mechanisms.

    RFC 5034 section 4: C{*} cancels.
    """
    if not arguments:
        server.listing(b"", [each.encode("ascii") for each in server.sasl_mechanisms()])
        return
    each = server.sasl_mechanism(arguments[0])
    if each is None:
        raise NotPermitted("Mechanism not supported")
    initial = None
    if len(arguments) == 2:
        try:
            initial = b"" if arguments[1] == b"=" else decode_base64(arguments[1])
        except BadSyntax:
            if each.mechanism.initial:
                # What is no base64 may have been a password all the same.
                server.note_exposure(each.mechanism)
            raise

    async def ask(challenge: bytes) -> bytes:
        server.write(b"+ %b\r\n" % b64encode(challenge))
        server.framer.limit = RESPONSE
        try:
            line: bytes | Overlong = await server.receive(server.framer.next)
        finally:
            server.framer.limit = COMMAND_LIMIT
        if isinstance(line, Overlong):
            raise BadSyntax("a shorter line")
        if line == b"*":
            raise NotPermitted("Cancelled")
        return decode_base64(line) if line else b""

    sent = initial is not None and each.mechanism.initial
    with server.noting_refusal(each.mechanism, sent=sent) as known:
        known.claim = partial(claimed_name, each, initial)
        server.refuse_early(each.mechanism)
        login = await sasl_dialogue(server, each, initial, ask, known.hear)
    await server.log_in(login)


@table.command("UTF8", State.AUTHORIZATION)
async def utf8(server: POP3Server, arguments: list[bytes]) -> None:
    """
    Messages are given out as they are stored with and without it; names are UTF-8 in any case.

    RFC 6856 section 2.
    """
    server.utf8 = True
    server.ok(b"UTF8 enabled")


@table.command("LANG", State.ANY, 0, 1)
async def lang(server: POP3Server, arguments: list[bytes]) -> None:
    """
    RFC 6856 section 3. The texts are there in English.
    """
    if not arguments:
        server.listing(b"Languages", [tag + b" " + name for tag, name in sorted(LANGUAGES.items())])
        return
    wanted = arguments[0].lower()
    if wanted == b"*" or wanted.partition(b"-")[0] in LANGUAGES:
        server.ok(b"en Language is English")
        return
    raise NotPermitted("No such language here")


@table.command("QUIT", State.ANY)
async def quit_(server: POP3Server, arguments: list[bytes]) -> None:
    """
    The end; in TRANSACTION the deletions are made durable first, and the reply tells the truth.

    RFC 1939 sections 5 and 6.
    """
    server.end_after_reply("quit")
    if server.state is State.TRANSACTION:
        server.state = State.UPDATE
        try:
            await server.maildrop.update(server.options.mark_seen)
        except Refused as refused:
            server.log.warn("deletions failed", session=server.number, detail=refused.detail)
            server.write(b"-ERR [SYS/TEMP] Some deleted messages not removed\r\n")
            return
        finally:
            # Not only once the client has closed, too: some keep the connection for a while.
            server.let_go()
    server.ok(b"Bye")
