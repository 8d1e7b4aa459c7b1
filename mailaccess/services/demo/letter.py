"""
Letters of the demo account: from the tables in C{letters/*.toml} to bytes as an MDA delivers them.

A table says what a message is; here it gets its charset, transfer encoding, boundaries and the
headers of its transport. Nothing depends on the clock or on chance: the same tables give the same
octets.

Keys of a table: C{id}, C{folder}, C{flags}, C{new}, C{date}, C{headers}, C{reply} (the id of the
message answered) and those of a part. Keys of a part: C{type}, C{text} or C{file} or C{letter} (the
id of a message to enclose) or C{part} (a list of parts), C{charset}, C{encoding}, C{name},
C{inline}, C{cid}; C{preamble} where there are parts.
"""

from __future__ import annotations

import base64
import quopri
import tomllib
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.header import Header
from email.utils import format_datetime, formataddr, getaddresses
from importlib.resources import files
from typing import Any
from urllib.parse import quote_from_bytes

import attrs

DOMAIN = "example.org"
_ADDRESSES = {"From", "To", "Cc", "Reply-To", "Sender"}
_LONGEST_PARAMETER = 48


@attrs.frozen
class Letter:
    """
    One message of the demo account.

    @ivar folder: name of the mailbox, C{/} between levels; empty for one that only others enclose
    @ivar flags: as in a Maildir file name: D, F, R, S, T
    @ivar new: nobody has looked at it yet
    @ivar table: what it says
    """

    id: str
    folder: str
    date: datetime
    flags: str
    new: bool
    table: Mapping[str, Any]


def letters() -> dict[str, Letter]:
    """
    All letters by id, the oldest first.
    """
    tables = [
        table
        for file in (files(__package__) / "letters").iterdir()
        if file.name.endswith(".toml")
        for table in tomllib.loads(file.read_text("utf-8"))["letter"]
    ]
    found = [
        Letter(
            id=table["id"],
            folder=table.get("folder", ""),
            date=table["date"],
            flags=table.get("flags", ""),
            new=table.get("new", False),
            table=table,
        )
        for table in tables
    ]
    return {letter.id: letter for letter in sorted(found, key=lambda it: (it.date, it.id))}


def render(letter: Letter, others: Mapping[str, Letter]) -> bytes:
    """
    The message with LF line ends.

    @param others: where the messages that it answers or encloses are found
    """
    charset = letter.table.get("charset", "utf-8")
    lines: list[str] = []
    if letter.folder and letter.folder not in ("Sent", "Drafts"):
        lines += _transport(letter)
    lines.append(f"Date: {format_datetime(letter.date)}")
    lines += [
        f"{name}: {_header(name, value, charset)}"
        for name, value in letter.table["headers"].items()
    ]
    lines.append(f"Message-ID: {message_id(letter.id)}")
    if "reply" in letter.table:
        before = list(_ancestors(letter, others))
        lines.append(f"In-Reply-To: {message_id(before[-1])}")
        lines.append("References: " + "\n ".join(message_id(each) for each in before))
    lines.append("MIME-Version: 1.0")
    head = "\n".join(lines).encode("ascii") + b"\n"
    return head + _entity(letter.table, letter.id, others)


def message_id(name: str) -> str:
    """
    The Message-ID of a letter.
    """
    return f"<{name}@letters.{DOMAIN}>"


def _ancestors(letter: Letter, others: Mapping[str, Letter]) -> Iterator[str]:
    chain = []
    while "reply" in letter.table:
        letter = others[letter.table["reply"]]
        chain.append(letter.id)
    return reversed(chain)


def _transport(letter: Letter) -> list[str]:
    """
    What the way here left on top of a message.
    """
    sender = getaddresses([letter.table["headers"]["From"]])[0][1]
    bounce = letter.table.get("type", "").startswith("multipart/report")
    host = "mail." + sender.rpartition("@")[2]
    return [
        f"Return-Path: <{'' if bounce else sender}>",
        f"Delivered-To: demo@{DOMAIN}",
        f"Received: from {host} ({host} [192.0.2.25])",
        f"\tby lamp.{DOMAIN} (Postfix) with ESMTPS id {letter.date:%y%m%d%H%M}L",
        f"\tfor <demo@{DOMAIN}>; {format_datetime(letter.date)}",
    ]


def _header(name: str, value: str, charset: str) -> str:
    if value.isascii():
        return Header(value, "us-ascii", header_name=name, maxlinelen=76).encode()
    if name in _ADDRESSES:
        pairs = getaddresses([value])
        return ",\n ".join(formataddr(pair, charset) for pair in pairs)
    return Header(value, charset, header_name=name, maxlinelen=76).encode()


def _entity(part: Mapping[str, Any], place: str, others: Mapping[str, Letter]) -> bytes:
    """
    Header fields about the content, an empty line, the content.
    """
    if "part" in part:
        return _multipart(part, place, others)
    kind = part.get("type", "text/plain")
    encoding = part.get("encoding", "7bit")
    if "letter" in part:
        body = render(others[part["letter"]], others)
        encoding = "7bit" if body.isascii() else "8bit"
        kind = part.get("type", "message/rfc822")
    elif "file" in part:
        body = (files(__package__) / "enclosures" / part["file"]).read_bytes()
    else:
        charset = part.get("charset", "us-ascii" if part["text"].isascii() else "utf-8")
        body = part["text"].encode(charset)
        if kind.startswith("text/"):
            kind += f"; charset={charset}"
    fields = [f"Content-Type: {kind}"] if kind else []
    if encoding != "7bit":
        fields.append(f"Content-Transfer-Encoding: {encoding}")
    if "cid" in part:
        fields.append(f"Content-ID: <{part['cid']}@letters.{DOMAIN}>")
    if "name" in part:
        disposition = "inline" if part.get("inline") else "attachment"
        fields.append(f"Content-Disposition: {disposition}{_parameter('filename', part['name'])}")
    head = "".join(field + "\n" for field in fields).encode("ascii")
    return head + b"\n" + _encoded(body, encoding)


def _multipart(part: Mapping[str, Any], place: str, others: Mapping[str, Letter]) -> bytes:
    # "=_" can stand neither in quoted-printable nor in base64.
    boundary = f"=_{place}"
    kind = part.get("type", "multipart/mixed")
    pieces = []
    if "preamble" in part:
        pieces.append(part["preamble"].encode("ascii") + b"\n")
    for number, each in enumerate(part["part"], 1):
        pieces.append(f"--{boundary}\n".encode("ascii"))
        pieces.append(_entity(each, f"{place}.{number}", others))
    pieces.append(f"--{boundary}--\n".encode("ascii"))
    body = b"".join(pieces)
    head = f'Content-Type: {kind};\n boundary="{boundary}"\n'
    if not body.isascii():
        # RFC 2045 section 6.4: what encloses 8-bit data says so too.
        head += "Content-Transfer-Encoding: 8bit\n"
    return head.encode("ascii") + b"\n" + body


def _encoded(body: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return base64.encodebytes(body)
    if encoding == "quoted-printable":
        return quopri.encodestring(body)
    return body


def _parameter(name: str, value: str) -> str:
    """
    RFC 2231: sections 3 and 4, where the value is long or not ASCII.
    """
    if value.isascii() and len(value) <= _LONGEST_PARAMETER:
        return f'; {name}="{value}"'
    # %XX is never cut in two: sections are made of whole characters.
    sections = [""]
    for character in value:
        piece = quote_from_bytes(character.encode("utf-8"), safe="")
        if len(sections[-1]) + len(piece) > _LONGEST_PARAMETER:
            sections.append("")
        sections[-1] += piece
    if len(sections) == 1:
        return f";\n {name}*=utf-8''{sections[0]}"
    sections[0] = "utf-8''" + sections[0]
    return "".join(f";\n {name}*{i}*={text}" for i, text in enumerate(sections))
