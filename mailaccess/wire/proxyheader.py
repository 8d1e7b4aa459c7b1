"""
The header with which a proxy says who the client is: HAProxy's PROXY protocol, versions 1 and 2.

    found = read_header(b"PROXY TCP4 192.0.2.1 192.0.2.9 50000 143\\r\\n...")
    found.source.host       "192.0.2.1"
    found.length            octets of the header; what follows is the client's

Whoever connects can write such a header; it is for the caller to know whom to believe.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

import attrs

from mailaccess.errors import BadSyntax

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
"""How version 2 begins; version 1 begins with C{PROXY}."""

LIMIT = 4096
"""Octets of a header of version 2; proxies send a few hundred. One of version 1 has 107 at most."""

_WORD = b"PROXY "
_LINE_LIMIT = 107
_FIXED = 16

# PROXY TCP4 192.0.2.1 192.0.2.9 50000 143
_LINE = re.compile(rb"PROXY (TCP[46]) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) ([0-9]{1,5}) ([0-9]{1,5})")
_PORT = re.compile(rb"0|[1-9][0-9]*")

_CRC32C, _SSL = 0x03, 0x20
_SSL_VERSION, _SSL_CN, _SSL_CIPHER = 0x21, 0x22, 0x23
_BY_TLS, _CERTIFICATE = 0x01, 0x02 | 0x04


@attrs.frozen
class Endpoint:
    """
    An address and a port.
    """

    host: str
    port: int


@attrs.frozen
class ClientTLS:
    """
    The TLS between client and proxy, as the proxy tells it.

    @ivar version: as OpenSSL names it, such as C{TLSv1.3}; empty if not told
    @ivar cipher: as OpenSSL names it; empty if not told
    @ivar name: common name of a client certificate that the proxy has verified, or empty
    """

    version: str = ""
    cipher: str = ""
    name: str = ""


@attrs.frozen
class ProxyHeader:
    """
    What a proxy says of a connection.

    @ivar source: the client; None where the proxy speaks for itself, or does not tell
    @ivar destination: where the client connected to; None likewise
    @ivar tls: None where there was none between client and proxy, or the proxy does not tell
    @ivar length: octets of the header
    """

    source: Endpoint | None
    destination: Endpoint | None
    tls: ClientTLS | None
    length: int


def begins_header(data: bytes) -> bool:
    """
    Whether these first octets are of a header and of nothing else.
    """
    return data.startswith((SIGNATURE, _WORD))


def read_header(data: bytes) -> ProxyHeader | None:
    """
    The header at the beginning of what came, or None until there is all of it.

    @raise BadSyntax: there is none, or it is not right
    """
    if data[: len(SIGNATURE)] == SIGNATURE[: len(data)]:
        return _binary(data)
    if data[: len(_WORD)] == _WORD[: len(data)]:
        return _text(data)
    raise BadSyntax("a PROXY header")


def _text(data: bytes) -> ProxyHeader | None:
    line, end, _ = data[:_LINE_LIMIT].partition(b"\r\n")
    if not end:
        if len(data) >= _LINE_LIMIT:
            raise BadSyntax("a PROXY line of at most 107 octets")
        return None
    length = len(line) + len(end)
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return ProxyHeader(None, None, None, length)
    found = _LINE.fullmatch(line)
    if found is None:
        raise BadSyntax("addresses and ports in the PROXY line")
    family, source, destination, *ports = found.groups()
    kind = IPv4Address if family == b"TCP4" else IPv6Address
    hosts = []
    for each in (source, destination):
        try:
            hosts.append(str(kind(each.decode("ascii"))))
        except ValueError:
            raise BadSyntax("addresses of the family that the PROXY line says") from None
    if any(_PORT.fullmatch(each) is None or int(each) > 65535 for each in ports):
        raise BadSyntax("ports from 0 to 65535 in the PROXY line")
    ends = [Endpoint(host, int(port)) for host, port in zip(hosts, ports, strict=True)]
    return ProxyHeader(ends[0], ends[1], None, length)


def _binary(data: bytes) -> ProxyHeader | None:
    if len(data) < _FIXED:
        return None
    command, family = data[12], data[13]
    length = _FIXED + int.from_bytes(data[14:16], "big")
    if command not in (0x20, 0x21):
        raise BadSyntax("a PROXY header of version 2, with LOCAL or PROXY")
    if length > LIMIT:
        raise BadSyntax(f"a PROXY header of at most {LIMIT} octets")
    if len(data) < length:
        return None
    # LOCAL: the proxy itself looks whether anybody is there. What else it says does not count.
    if command == 0x20:
        return ProxyHeader(None, None, None, length)
    body = data[_FIXED:length]
    if family == 0x00:
        return ProxyHeader(None, None, None, length)
    if family == 0x11:
        size, ends = 12, _endpoints(body, 4)
    elif family == 0x21:
        size, ends = 36, _endpoints(body, 16)
    elif family == 0x31:
        size, ends = 216, None
    else:
        raise BadSyntax("stream addresses in the PROXY header")
    if len(body) < size:
        raise BadSyntax("a PROXY header that is long enough for its addresses")
    source, destination = ends or (None, None)
    tls = _extensions(data[:length], _FIXED + size)
    return ProxyHeader(source, destination, tls, length)


def _endpoints(body: bytes, size: int) -> tuple[Endpoint, Endpoint]:
    kind = IPv4Address if size == 4 else IPv6Address
    if len(body) < 2 * size + 4:
        raise BadSyntax("a PROXY header that is long enough for its addresses")
    ports = body[2 * size : 2 * size + 4]
    return (
        Endpoint(str(kind(body[:size])), int.from_bytes(ports[:2], "big")),
        Endpoint(str(kind(body[size : 2 * size])), int.from_bytes(ports[2:], "big")),
    )


def _extensions(header: bytes, start: int) -> ClientTLS | None:
    tls: ClientTLS | None = None
    seen = set()
    for kind, at, value in _vectors(header, start):
        if kind in seen and kind in (_CRC32C, _SSL):
            raise BadSyntax("each value of the PROXY header once")
        seen.add(kind)
        if kind == _CRC32C:
            _check(header, at, value)
        elif kind == _SSL:
            tls = _tls(value)
    return tls


def _vectors(data: bytes, at: int) -> Iterator[tuple[int, int, bytes]]:
    """
    Type, place and value of each of what stands behind the addresses.
    """
    while at < len(data):
        end = at + 3 + int.from_bytes(data[at + 1 : at + 3], "big")
        if at + 3 > len(data) or end > len(data):
            raise BadSyntax("whole values in the PROXY header")
        yield data[at], at + 3, data[at + 3 : end]
        at = end


def _tls(value: bytes) -> ClientTLS | None:
    if len(value) < 5:
        raise BadSyntax("all of TLS in the PROXY header")
    client, verified = value[0], value[1:5] == b"\0\0\0\0"
    told: dict[int, str] = {}
    for kind, _, text in _vectors(value, 5):
        if kind in told:
            raise BadSyntax("each value of the PROXY header once")
        try:
            told[kind] = text.decode("utf-8")
        except UnicodeDecodeError:
            told[kind] = ""
    if not client & _BY_TLS:
        return None
    certified = verified and client & _CERTIFICATE
    return ClientTLS(
        told.get(_SSL_VERSION, ""),
        told.get(_SSL_CIPHER, ""),
        told.get(_SSL_CN, "") if certified else "",
    )


def _check(header: bytes, at: int, value: bytes) -> None:
    if len(value) != 4:
        raise BadSyntax("a whole checksum in the PROXY header")
    blank = header[:at] + b"\0\0\0\0" + header[at + 4 :]
    if crc32c(blank) != int.from_bytes(value, "big"):
        raise BadSyntax("the PROXY header that its checksum is of")


def _table() -> tuple[int, ...]:
    made = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        made.append(value)
    return tuple(made)


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """
    RFC 9260 appendix A.
    """
    value = 0xFFFFFFFF
    for each in data:
        value = (value >> 8) ^ _TABLE[(value ^ each) & 0xFF]
    return value ^ 0xFFFFFFFF
