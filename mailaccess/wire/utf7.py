"""
Modified UTF-7, the older encoding of mailbox names (RFC 3501 section 5.1.3).

Decoding is strict and canonical: a name has exactly one encoding, so that no two names on the wire
mean one mailbox (PAR-11).
"""

from __future__ import annotations

import codecs
import re
from binascii import Error, a2b_base64, b2a_base64

from mailaccess.errors import BadSyntax

# Found at its first use otherwise, by then perhaps as a user who may not read what Python is in.
codecs.lookup("utf-16-be")

_PLAIN = re.compile(rb"[\x20-\x25\x27-\x7e]*")
_SHIFTED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_OTHER = re.compile(r"&|[^\x20-\x7e]+")
_DIRECT = re.compile(r"[\x20-\x7e]")


def encode(name: str) -> bytes:
    """
    A name for the wire.

    @raise UnicodeEncodeError: lone surrogates, which no name that was decoded here has
    """
    if name.isascii() and name.isprintable() and "&" not in name:
        return name.encode("ascii")
    return _OTHER.sub(_shift, name).encode("ascii")


def _shift(found: re.Match[str]) -> str:
    text = found[0]
    return "&-" if text == "&" else f"&{_base64(text).decode('ascii')}-"


def _base64(text: str) -> bytes:
    encoded = b2a_base64(text.encode("utf-16-be"), newline=False)
    return encoded.rstrip(b"=").replace(b"/", b",")


def decode(data: bytes) -> str:
    """
    A name from the wire.

    @raise BadSyntax: 8-bit or control octets, an C{&} that is not ended, padding bits that are not
        zero, unpaired surrogates, printable ASCII that was encoded, or two shifts in a row
    """
    if b"&" not in data:
        if not _PLAIN.fullmatch(data):
            raise BadSyntax("modified UTF-7")
        return data.decode("ascii")
    parts: list[str] = []
    position, shifted = 0, False
    while position < len(data):
        found = _SHIFTED.match(data, position)
        if found is None:
            plain = _PLAIN.match(data, position)
            if plain is None or plain.end() == position:
                raise BadSyntax("modified UTF-7", position)
            parts.append(plain[0].decode("ascii"))
            position, shifted = plain.end(), False
        elif not found[1]:
            parts.append("&")
            position, shifted = found.end(), False
        elif shifted:
            # The encoder would have made one of two shifts in a row.
            raise BadSyntax("modified UTF-7", position)
        else:
            parts.append(_unshift(found[1], position))
            position, shifted = found.end(), True
    return "".join(parts)


def _unshift(encoded: bytes, position: int) -> str:
    try:
        raw = a2b_base64(encoded.replace(b",", b"/") + b"=" * (-len(encoded) % 4), strict_mode=True)
        text = raw.decode("utf-16-be")
    except (Error, UnicodeDecodeError):
        raise BadSyntax("modified UTF-7", position) from None
    # Comparing with what the encoder makes finds padding bits; ASCII has no business here.
    if _DIRECT.search(text) or _base64(text) != encoded:
        raise BadSyntax("modified UTF-7", position)
    return text
