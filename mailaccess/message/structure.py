"""
BODY and BODYSTRUCTURE: the tree of parts as IMAP clients see it (RFC 3501 section 7.4.2).

Words of the message keep their case. A text part without a charset is shown as C{us-ascii}, a
multipart without parts with one empty text part, because a C{body} of no parts cannot be written.
Parts that were not taken apart because of a limit are shown as C{application/octet-stream}.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from mailaccess.message.envelope import render
from mailaccess.message.limits import MAX_STRING
from mailaccess.message.parameters import Parameters
from mailaccess.message.scan import Part, scan
from mailaccess.wire.writer import nstring, string

if TYPE_CHECKING:
    from mailaccess.interfaces import Description

_NO_PARAMETERS = b"NIL"
_FEW, _SHORT = 2, 64
_WRITTEN = {
    b" " + word + end: b'"' + word + b'"'
    for word in (b"7bit", b"8bit", b"base64", b"quoted-printable")
    for end in (b"", b"\r")
}
_EMPTY = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7BIT" 0 0'


def body(data: bytes, part: Part) -> bytes:
    """
    BODY: without the extension data.
    """
    return _write(data, part)[0]


def bodystructure(data: bytes, part: Part) -> bytes:
    """
    BODYSTRUCTURE: with MD5, disposition, language and location.
    """
    return _write(data, part)[1]


def describe(data: bytes) -> Description:
    """
    ENVELOPE, BODY and BODYSTRUCTURE of a whole message, from one scan.
    """
    # Here: a process that helps and needs only the forms starts three times as fast without it.
    from mailaccess.interfaces import Description

    return Description(*forms(data, scan(data)))


def forms(data: bytes, root: Part) -> tuple[bytes, bytes, bytes]:
    """
    The same three as octets, in this order, of a message that was scanned.
    """
    return render(root.fields), *_write(data, root)


def _write(data: bytes, part: Part) -> tuple[bytes, bytes]:
    """
    Both forms. What has to be written after a part's children waits on a stack.
    """
    short: list[bytes] = []
    full: list[bytes] = []
    work: list[Part | tuple[bytes, bytes]] = [part]
    while work:
        item = work.pop()
        if isinstance(item, tuple):
            short.append(item[0])
            full.append(item[1])
            continue
        if item.multipart:
            short.append(b"(")
            full.append(b"(")
            if not item.children:
                short.append(_EMPTY + b")")
                full.append(_EMPTY + b" NIL NIL NIL NIL)")
            subtype = b" " + string(item.subtype)
            extension = b" " + _parameters(item.params) + _extension(item)
            work.append((subtype + b")", subtype + extension + b")"))
            work.extend(reversed(item.children))
            continue
        head = _head(item)
        if item.message is not None:
            head += b" " + render(item.message.fields) + b" "
            lines = b" %d" % item.lines(data)
            work.append((lines + b")", lines + _md5(item) + _extension(item) + b")"))
            work.append(item.message)
        else:
            if item.type.lower() == b"text":
                head += b" %d" % item.lines(data)
            work.append((b")", _md5(item) + _extension(item) + b")"))
        short.append(head)
        full.append(head)
    return b"".join(short), b"".join(full)


def _head(part: Part) -> bytes:
    """
    C{body-fields} and the type before them.
    """
    kind, subtype, params = part.type, part.subtype, part.params
    if part.opaque:
        kind, subtype, params = b"application", b"octet-stream", ()
    elif kind.lower() == b"text" and all(name.lower() != b"charset" for name, _ in params):
        params = (*params, (b"charset", b"us-ascii"))
    fields = part.fields
    return b"(%s %s %s %s %d" % (
        _type(kind, subtype, params),
        _text(part, b"content-id") if b"content-id" in fields else b"NIL",
        _text(part, b"content-description") if b"content-description" in fields else b"NIL",
        _encoding(part) if b"content-transfer-encoding" in fields else b'"7BIT"',
        part.end - part.body_start,
    )


def _encoding(part: Part) -> bytes:
    value = part.fields[b"content-transfer-encoding"][0]
    return _WRITTEN.get(value) or string(part.encoding[:MAX_STRING])


def _type(kind: bytes, subtype: bytes, params: Parameters) -> bytes:
    if len(params) <= _FEW and len(kind) + len(subtype) <= _SHORT:
        return _known_type(kind, subtype, params)
    return _written_type(kind, subtype, params)


def _written_type(kind: bytes, subtype: bytes, params: Parameters) -> bytes:
    return b"%s %s %s" % (string(kind), string(subtype), _parameters(params))


# Most parts are of a type that others are of.
_known_type = lru_cache(maxsize=512)(_written_type)


def _parameters(params: Parameters) -> bytes:
    if not params:
        return _NO_PARAMETERS
    return b"(" + b" ".join([string(name) + b" " + string(value) for name, value in params]) + b")"


def _text(part: Part, name: bytes) -> bytes:
    value = part.field(name)
    return b"NIL" if not value else nstring(value[:MAX_STRING])


def _md5(part: Part) -> bytes:
    return b" " + _text(part, b"content-md5") if b"content-md5" in part.fields else b" NIL"


def _extension(part: Part) -> bytes:
    """
    Disposition, language and location.
    """
    fields = part.fields
    where = b"NIL"
    disposition = part.disposition if b"content-disposition" in fields else None
    if disposition is not None:
        where = b"(" + string(disposition[0]) + b" " + _parameters(disposition[1]) + b")"
    return b" %s %s %s" % (
        where,
        _languages(part) if b"content-language" in fields else b"NIL",
        _text(part, b"content-location") if b"content-location" in fields else b"NIL",
    )


def _languages(part: Part) -> bytes:
    """
    Content-Language (RFC 3282 section 2): a list, comments left out.
    """
    value = (part.field(b"content-language") or b"")[:MAX_STRING]
    tags = [tag.split(b"(", 1)[0].strip() for tag in value.split(b",")]
    written = [string(tag) for tag in tags if tag]
    return b"(" + b" ".join(written) + b")" if written else b"NIL"
