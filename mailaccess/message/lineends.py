"""
Line ends: files hold LF or CRLF, the wire has CRLF only.
"""

from __future__ import annotations


def to_crlf(data: bytes) -> bytes:
    """
    The message with every bare LF made a CRLF; the same object if there is none.

    Bare CRs stay as they are: they are octets of the text (RFC 5322 section 2.3 forbids them,
    mail has them).
    """
    if b"\r" not in data:
        return data.replace(b"\n", b"\r\n") if b"\n" in data else data
    if data.count(b"\n") == data.count(b"\r\n"):
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def crlf_size(data: bytes) -> int:
    """
    Octets that L{to_crlf} would return (RFC822.SIZE), without building them.
    """
    feeds = data.count(b"\n")
    return len(data) + feeds - (data.count(b"\r\n") if b"\r" in data else 0)


def to_lf(data: bytes) -> bytes | None:
    """
    The message with LF line ends, or None where L{to_crlf} would not give back these very octets
    (a bare LF, or a CR before a CRLF).
    """
    if data.count(b"\n") != data.count(b"\r\n") or b"\r\r\n" in data:
        return None
    return data.replace(b"\r\n", b"\n")
