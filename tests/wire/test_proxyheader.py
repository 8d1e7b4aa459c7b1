"""
Headers of the PROXY protocol: every cut, every limit, and nothing that is not one.
"""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailaccess.errors import BadSyntax
from mailaccess.wire.proxyheader import (
    LIMIT,
    SIGNATURE,
    ClientTLS,
    Endpoint,
    ProxyHeader,
    begins_header,
    crc32c,
    read_header,
)

V4 = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.9") + struct.pack("!HH", 50000, 143)
V6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::9")
    + struct.pack("!HH", 50000, 993)
)


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def header(body: bytes = V4, *, command: int = 0x21, family: int = 0x11) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


def tls(client: int = 1, verify: int = 0, **told: str) -> bytes:
    kinds = {"version": 0x21, "name": 0x22, "cipher": 0x23}
    subs = b"".join(tlv(kinds[key], value.encode()) for key, value in told.items())
    return tlv(0x20, struct.pack("!BI", client, verify) + subs)


RIGHT = [
    (
        b"PROXY TCP4 192.0.2.1 192.0.2.9 50000 143\r\n",
        (Endpoint("192.0.2.1", 50000), Endpoint("192.0.2.9", 143), None),
    ),
    (
        b"PROXY TCP6 2001:DB8::1 ::9 0 65535\r\n",
        (Endpoint("2001:db8::1", 0), Endpoint("::9", 65535), None),
    ),
    (b"PROXY UNKNOWN\r\n", (None, None, None)),
    (b"PROXY UNKNOWN ffff:: ffff:: 1 2\r\n", (None, None, None)),
    (header(), (Endpoint("192.0.2.1", 50000), Endpoint("192.0.2.9", 143), None)),
    (
        header(V6, family=0x21),
        (Endpoint("2001:db8::1", 50000), Endpoint("2001:db8::9", 993), None),
    ),
    (header(command=0x20), (None, None, None)),
    (header(b"", command=0x20, family=0), (None, None, None)),
    (header(b"anything", family=0), (None, None, None)),
    (header(bytes(216), family=0x31), (None, None, None)),
    (
        header(V4 + tlv(0x02, b"mail.example.org") + tls(version="TLSv1.3", cipher="X", name="a")),
        (Endpoint("192.0.2.1", 50000), Endpoint("192.0.2.9", 143), ClientTLS("TLSv1.3", "X")),
    ),
    (
        header(V4 + tls(client=3, version="TLSv1.2", name="amy")),
        (
            Endpoint("192.0.2.1", 50000),
            Endpoint("192.0.2.9", 143),
            ClientTLS("TLSv1.2", "", "amy"),
        ),
    ),
    (
        header(V4 + tls(client=3, verify=1, version="TLSv1.2", name="amy")),
        (Endpoint("192.0.2.1", 50000), Endpoint("192.0.2.9", 143), ClientTLS("TLSv1.2")),
    ),
    (
        header(V4 + tls(client=0, version="TLSv1.2")),
        (Endpoint("192.0.2.1", 50000), Endpoint("192.0.2.9", 143), None),
    ),
]


@pytest.mark.parametrize(("data", "wanted"), RIGHT)
def test_headers_are_read_however_they_are_cut(data: bytes, wanted: tuple[object, ...]) -> None:
    """AB-14, POL-09"""
    source, destination, client = wanted
    assert all(read_header(data[:cut]) is None for cut in range(len(data)))
    expected = ProxyHeader(source, destination, client, len(data))  # type: ignore[arg-type]
    assert read_header(data) == expected
    assert read_header(data + b"a LOGIN amy x\r\n") == expected
    assert begins_header(data)


WRONG = [
    b"a LOGIN amy secret\r\n",
    b"\x16\x03\x01",
    b"\r\n\r\n\0\r\nQUIX",
    b"PROXY\r\n",
    b"PROXY  TCP4 192.0.2.1 192.0.2.9 1 2\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 1\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 1 2 \r\n",
    b"PROXY TCP4 192.0.2.01 192.0.2.9 1 2\r\n",
    b"PROXY TCP4 2001:db8::1 2001:db8::9 1 2\r\n",
    b"PROXY TCP6 192.0.2.1 192.0.2.9 1 2\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 01 2\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 1 65536\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 1 2\n\r\n",
    b"PROXY UNKNOWNX\r\n",
    b"PROXY UDP4 192.0.2.1 192.0.2.9 1 2\r\n",
    b"proxy TCP4 192.0.2.1 192.0.2.9 1 2\r\n",
    b"PROXY UNKNOWN " + b"x" * 100,
    header(command=0x11),
    header(command=0x22),
    header(family=0x12),
    header(family=0x41),
    header(V4[:-1]),
    header(bytes(215), family=0x31),
    header(V4 + b"\x04"),
    header(V4 + b"\x04\x00\x05abc"),
    header(V4 + tlv(0x20, b"\x01\0\0\0")),
    header(V4 + tlv(0x20, b"\x01\0\0\0\0\x21\xff\xff")),
    header(V4 + tls(version="TLSv1.3") * 2),
    header(V4 + tlv(0x20, b"\x01\0\0\0\0" + tlv(0x21, b"TLSv1.3") * 2)),
    header(V4 + tlv(0x03, b"\0\0\0\0")),
    header(V4 + tlv(0x03, b"\0\0")),
    header(bytes(LIMIT)),
]


@pytest.mark.parametrize("data", WRONG)
def test_what_is_not_right_is_no_header(data: bytes) -> None:
    """POL-09"""
    with pytest.raises(BadSyntax):
        read_header(data)


def test_a_header_that_is_too_long_is_refused_before_it_has_come() -> None:
    with pytest.raises(BadSyntax):
        read_header(header(bytes(65535))[:16])


def test_checksums_are_checked() -> None:
    """The value is that of RFC 9260 for the digits; in the header its own octets count as zero."""
    assert crc32c(b"123456789") == 0xE3069283
    blank = header(V4 + tlv(0x03, bytes(4)) + tlv(0x04, b"xx"))
    at = blank.index(b"\x03\x00\x04") + 3
    right = blank[:at] + crc32c(blank).to_bytes(4, "big") + blank[at + 4 :]
    found = read_header(right)
    assert found is not None
    assert found.source == Endpoint("192.0.2.1", 50000)
    with pytest.raises(BadSyntax):
        read_header(right.replace(b"xx", b"xy"))


def test_what_begins_otherwise_is_no_header() -> None:
    assert not any(map(begins_header, (b"", b"P", b"\r", b"PASS x\r\n", b"\r\n\r\nA", b"PROXYING")))


@given(st.sampled_from([each for each, _ in RIGHT]), st.data())
def test_a_header_with_octets_changed_is_a_header_or_none(
    right: bytes, data: st.DataObject
) -> None:
    """No other exception, whatever comes; and never longer than what came."""
    changed = bytearray(right)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_header(bytes(changed))
    except BadSyntax:
        return
    assert found is None or found.length <= len(changed)
