"""
How to say the same in IMAP and in POP3.
"""

from __future__ import annotations

from base64 import b64encode

import attrs

from .wire import HIDDEN, Gone, Wire


@attrs.frozen
class Reply:
    """
    What a command was answered.

    @ivar kind: C{ok}, C{no}, C{bad}, C{more} (the server waits for a response)
    @ivar extra: lines before it
    """

    kind: str
    text: str
    extra: tuple[str, ...] = ()


class Dialect:
    """
    A protocol on a connection.

    @ivar tls: the command that begins TLS
    @ivar greets: how the greeting begins
    @ivar injected: a command that must not be run
    @ivar http_body: commands for the body of a web request, and C{ran}: what their answer begins
        with
    """

    name: str
    greets: str
    tls: str
    login_command: str
    injected: str
    http_body: str
    ran: str

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def command(self, line: str, shown: str = "") -> Reply:
        """
        A command and its answer.
        """
        raise NotImplementedError

    def greeting(self) -> str:
        """
        The first line.

        @raise Gone: it is not how such a server greets; C{PREAUTH} is no way to greet strangers
        """
        line = self.wire.line()
        if not line.startswith(self.greets):
            raise Gone(f"greets otherwise than {self.name} does: {line}")
        return line

    def capabilities(self) -> list[str]:
        """
        What is offered now.
        """
        raise NotImplementedError

    def mechanisms(self, words: list[str]) -> list[str]:
        """
        SASL mechanisms among capabilities.
        """
        raise NotImplementedError

    def takes_passwords(self, words: list[str]) -> bool:
        """
        Whether capabilities offer LOGIN, or USER.
        """
        raise NotImplementedError

    def login(self, name: str, password: str) -> Reply:
        """
        LOGIN, or USER and PASS.
        """
        raise NotImplementedError

    def authenticate(self, mechanism: str) -> Reply:
        """
        Begin a SASL exchange without an initial response.
        """
        raise NotImplementedError

    def respond(self, response: str, shown: str = HIDDEN) -> Reply:
        """
        Go on with it.
        """
        raise NotImplementedError

    def finish(self, mechanism: str, reply: Reply, name: str, password: str) -> Reply:
        """
        The rest of C{PLAIN} or C{LOGIN} after what the server said first.
        """
        for each in (f"\0{name}\0{password}",) if mechanism == "PLAIN" else (name, password):
            if reply.kind == "more":
                reply = self.respond(b64encode(each.encode()).decode("ascii"))
        return reply


class IMAP(Dialect):
    """
    RFC 3501.
    """

    name = "imap"
    greets = "* OK"
    tls = "STARTTLS"
    login_command = "LOGIN"
    http_body = "x1 NOOP\r\nx2 LOGOUT\r\n"
    ran = "x1 OK"
    injected = "x1 NOOP\r\n"

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self._count = 0

    def tag(self) -> str:
        """
        A new one.
        """
        self._count += 1
        return f"p{self._count}"

    def command(self, line: str, shown: str = "") -> Reply:
        tag = self.tag()
        self.wire.send(f"{tag} {line}", f"{tag} {shown or line}")
        return self.answer(tag)

    def answer(self, tag: str) -> Reply:
        """
        Up to the tagged line, or a request for more.
        """
        extra: list[str] = []
        while True:
            line = self.wire.line()
            if line.startswith("+"):
                self._pending = tag
                return Reply("more", line, tuple(extra))
            first, _, rest = line.partition(" ")
            if first == tag:
                return Reply(rest.partition(" ")[0].lower(), line, tuple(extra))
            extra.append(line)

    def capabilities(self) -> list[str]:
        reply = self.command("CAPABILITY")
        found = [each for each in reply.extra if each.upper().startswith("* CAPABILITY ")]
        return found[-1].upper().split()[2:] if found else []

    def mechanisms(self, words: list[str]) -> list[str]:
        return [each.removeprefix("AUTH=") for each in words if each.startswith("AUTH=")]

    def takes_passwords(self, words: list[str]) -> bool:
        return "LOGINDISABLED" not in words

    def login(self, name: str, password: str) -> Reply:
        return self.command(f'LOGIN "{name}" "{password}"', f'LOGIN "{name}" {HIDDEN}')

    def authenticate(self, mechanism: str) -> Reply:
        return self.command(f"AUTHENTICATE {mechanism}")

    def respond(self, response: str, shown: str = HIDDEN) -> Reply:
        self.wire.send(response, shown)
        return self.answer(self._pending)


class POP3(Dialect):
    """
    RFC 1939, RFC 2449.
    """

    name = "pop3"
    greets = "+OK"
    tls = "STLS"
    login_command = "USER"
    http_body = "CAPA\r\nQUIT\r\n"
    ran = "+OK"
    injected = "XPROBE\r\n"

    def command(self, line: str, shown: str = "") -> Reply:
        self.wire.send(line, shown)
        return self.answer()

    def answer(self) -> Reply:
        """
        One line.
        """
        line = self.wire.line()
        if line.startswith("+OK"):
            return Reply("ok", line)
        return Reply("more" if line.startswith("+") else "no", line)

    def capabilities(self) -> list[str]:
        if self.command("CAPA").kind != "ok":
            return []
        found = []
        while (line := self.wire.line()) != ".":
            found.append(line.upper())
        return found

    def mechanisms(self, words: list[str]) -> list[str]:
        return [name for each in words if each.startswith("SASL ") for name in each.split()[1:]]

    def takes_passwords(self, words: list[str]) -> bool:
        return "USER" in words

    def login(self, name: str, password: str) -> Reply:
        reply = self.command(f"USER {name}")
        if reply.kind != "ok":
            return reply
        return self.command(f"PASS {password}", f"PASS {HIDDEN}")

    def authenticate(self, mechanism: str) -> Reply:
        return self.command(f"AUTH {mechanism}")

    def respond(self, response: str, shown: str = HIDDEN) -> Reply:
        self.wire.send(response, shown)
        return self.answer()


DIALECTS: dict[str, type[IMAP] | type[POP3]] = {"imap": IMAP, "pop3": POP3}


def said_good_bye(dialect: Dialect) -> bool:
    """
    Whether the server ends the connection now; what it says until then is in the transcript.
    """
    try:
        for _ in range(100):
            dialect.wire.line()
    except Gone as gone:
        return "closed" in str(gone)
    return False
