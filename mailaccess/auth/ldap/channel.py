"""
A connection to a directory server, up to the point where LDAP is spoken: names, TCP, TLS.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import threading
from typing import Any

from .ber import BadBER, elements, header
from .deadline import Deadline
from .faults import Closed, Fault, OutOfTime, Unreachable, WrongSetup
from .options import Connecting, Target

MOST_OCTETS = 4 * 1024 * 1024
"""In answers to one use of a connection; an entry of a person has a few thousand."""

_STARTTLS_OID = b"1.3.6.1.4.1.1466.20037"
_STARTTLS = (
    b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + _STARTTLS_OID
)  # message 1, ExtendedRequest [APPLICATION 23] with the name [0]: RFC 4511 section 4.14.1
_LONGEST_REPLY = 4096
_READ = 65536


class Channel:
    """
    A socket, as C{ldap3} uses one, that keeps to a deadline and to a number of octets.

    @ivar deadline: of the login that uses it now
    """

    def __init__(self, sock: socket.socket, patience: float, deadline: Deadline) -> None:
        self.socket = sock
        self._patience = patience
        self._taken = 0
        self._ahead = b""
        self.deadline = deadline
        deadline.hold(sock)

    def lend(self, deadline: Deadline) -> None:
        """
        Serve another login.
        """
        self.deadline.release(self.socket)
        self.deadline, self._taken = deadline, 0
        deadline.hold(self.socket)

    def rest(self) -> None:
        """
        Serve nobody for now.
        """
        self.deadline.release(self.socket)

    def replace(self, sock: socket.socket) -> None:
        """
        Go on with TLS over it.
        """
        self.deadline.release(self.socket)
        self.socket = sock
        self.deadline.hold(sock)

    @property
    def stale(self) -> bool:
        """
        Whether there is something to read where nothing was asked: the server has closed it, or
        says that it will.
        """
        if self.ahead:
            return True
        try:
            poll = select.poll()
            poll.register(self.socket, select.POLLIN)
            return bool(poll.poll(0))
        except (OSError, ValueError):
            return True

    @property
    def ahead(self) -> bool:
        """
        Whether more has come than was handed out.
        """
        sock = self.socket
        return bool(self._ahead) or (isinstance(sock, ssl.SSLSocket) and sock.pending() > 0)

    def recv(self, size: int) -> bytes:
        """
        One LDAP message, whatever the size; none at the end. C{ldap3} would take the last of
        several answers for the one that counts; so it never sees more than one at a time.

        @raise OSError: too late, too many octets, or broken
        """
        while (end := self._end()) is None:
            more = self._some(_READ)
            if not more:
                if self._ahead:
                    raise OSError("closed in the middle of an answer")
                return b""
            self._ahead += more
        message, self._ahead = self._ahead[:end], self._ahead[end:]
        return message

    def _end(self) -> int | None:
        try:
            head = header(self._ahead)
        except BadBER as error:
            raise OSError(f"no LDAP: {error}") from None
        if head is None:
            return None
        end = head[1] + head[2]
        if head[0] != 0x30 or end > MOST_OCTETS:
            raise OSError("no LDAP, or too long an answer")
        return end if len(self._ahead) >= end else None

    def _some(self, size: int) -> bytes:
        self.socket.settimeout(min(self._patience, self.deadline.left()))
        data = self.socket.recv(size)
        self._taken += len(data)
        if self._taken > MOST_OCTETS:
            raise OSError("too long an answer")
        return data

    def sendall(self, data: bytes) -> None:
        """
        Send.

        @raise OSError: too late, or broken
        """
        self.socket.settimeout(min(self._patience, self.deadline.left()))
        self.socket.sendall(data)

    def exactly(self, size: int) -> bytes:
        """
        So many octets and no more, so that what follows is read by whoever comes next.
        """
        data = b""
        while len(data) < size:
            more = self._some(size - len(data))
            if not more:
                raise OSError("closed")
            data += more
        return data

    def shutdown(self, how: int) -> None:
        """
        For C{ldap3}.
        """
        self.socket.shutdown(how)

    def close(self) -> None:
        """
        For good.
        """
        self.deadline.release(self.socket)
        with contextlib.suppress(OSError):
            self.socket.close()


class Connector:
    """
    Makes channels as the options say.
    """

    def __init__(self, options: Connecting) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._context: tuple[object, ssl.SSLContext] | None = None

    def open(self, target: Target, deadline: Deadline, step: Any = None) -> Channel:
        """
        A channel over which a password may go, as far as the options demand.

        @param step: called with the name of each step before it is taken
        @raise Fault: not possible
        """
        told = step or (lambda name: None)
        told("resolve")
        addresses = self._resolve(target)
        told("connect")
        channel = self._connect(target, addresses, deadline)
        try:
            if target.scheme == "ldaps":
                told("tls")
                self._encrypt(target, channel)
            elif target.scheme == "ldap" and self._options.encrypt:
                told("starttls")
                self._start_tls(target, channel)
                told("tls")
                self._encrypt(target, channel)
        except BaseException:
            channel.close()
            raise
        return channel

    def _resolve(self, target: Target) -> list[tuple[int, Any]]:
        if target.scheme == "ldapi":
            return [(socket.AF_UNIX, target.host)]
        try:
            found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"{target.uri}: the name cannot be resolved: {error}") from None
        return [(each[0], each[4]) for each in found]

    def _connect(
        self, target: Target, addresses: list[tuple[int, Any]], deadline: Deadline
    ) -> Channel:
        trouble = "no address"
        for family, address in addresses:
            sock = socket.socket(family, socket.SOCK_STREAM)
            deadline.hold(sock)
            try:
                sock.settimeout(min(self._options.connect_timeout, deadline.left()))
                sock.connect(address)
                if family != socket.AF_UNIX:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                return Channel(sock, self._options.answer_timeout, deadline)
            except OSError as error:
                trouble = _said(error)
            except OutOfTime:
                sock.close()
                raise
            deadline.release(sock)
            sock.close()
        deadline.left()
        raise Unreachable(f"{target.uri}: no connection: {trouble}")

    # ---- TLS ------------------------------------------------------------------------------------

    def _start_tls(self, target: Target, channel: Channel) -> None:
        """
        The reply is read to its last octet and no further: what somebody put behind it is not taken
        for a message that came inside TLS (LD-05).
        """
        try:
            channel.sendall(_STARTTLS)
            code, message = _reply(channel)
            leftover = channel.stale
        except OSError as error:
            channel.deadline.left()
            raise Unreachable(f"{target.uri}: no answer to StartTLS: {_said(error)}") from None
        except BadBER:
            raise Unreachable(f"{target.uri}: no LDAP answer to StartTLS") from None
        if code != 0:
            raise Unreachable(
                f"{target.uri}: StartTLS refused: result {code} {message}; nothing else was sent"
            )
        if leftover:
            raise Unreachable(f"{target.uri}: data in the clear after the answer to StartTLS")

    def _encrypt(self, target: Target, channel: Channel) -> None:
        name = self._options.server_name or target.host
        try:
            context = self.context()
        except (OSError, ValueError) as error:
            # ssl.SSLError is an OSError; its text has no secrets.
            raise WrongSetup(f"{target.uri}: certificates cannot be read: {error}") from None
        plain = channel.socket
        try:
            plain.settimeout(min(self._options.answer_timeout, channel.deadline.left()))
            wrapped = context.wrap_socket(
                plain, server_hostname=name, do_handshake_on_connect=False
            )
            channel.replace(wrapped)
            wrapped.do_handshake()
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(
                f"{target.uri}: certificate refused: {error.verify_message or error}"
            ) from None
        except (OSError, ValueError) as error:
            channel.deadline.left()
            raise Unreachable(f"{target.uri}: TLS failed: {_said(error)}") from None

    def context(self) -> ssl.SSLContext:
        """
        Certificates are always verified, with their names (LD-04); OpenSSL does it, so that IP
        addresses are compared with addresses in certificates on all versions of Python. Made anew
        when the files change.

        @raise OSError: a file cannot be used
        """
        options = self._options
        files = [each for each in (options.ca_file, options.certificate, options.key) if each]
        signature = [(each.st_mtime_ns, each.st_size) for each in map(os.stat, files)]
        with self._lock:
            if self._context is None or self._context[0] != signature:
                made = ssl.create_default_context(cafile=options.ca_file or None)
                made.minimum_version = ssl.TLSVersion.TLSv1_2
                if options.certificate:
                    made.load_cert_chain(options.certificate, options.key or None)
                self._context = signature, made
            return self._context[1]


def _reply(channel: Channel) -> tuple[int, str]:
    """
    Result code and text of an ExtendedResponse: RFC 4511 section 4.12.
    """
    start = channel.exactly(2)
    while (head := header(start)) is None:
        start += channel.exactly(1)
    if head[0] != 0x30 or head[2] > _LONGEST_REPLY:
        raise BadBER("no message")
    message = elements(channel.exactly(head[2]))
    if len(message) < 2 or message[0] != (0x02, b"\x01") or message[1][0] != 0x78:
        raise BadBER("no answer to message 1")
    parts = elements(message[1][1])
    if len(parts) < 3 or parts[0][0] != 0x0A:
        raise BadBER("no result")
    text = parts[2][1].decode("utf-8", "replace")
    return int.from_bytes(parts[0][1], "big"), repr(text[:100])


def _said(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


__all__ = ["Channel", "Closed", "Connector", "Fault"]
