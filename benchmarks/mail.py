"""
A mailbox that is the same on every machine: messages of about 3 KB, made from numbers.
"""

from __future__ import annotations

import base64
import datetime
import os
import random
from pathlib import Path

SEED = 20240229
_FIRST = datetime.datetime(2019, 1, 1, tzinfo=datetime.UTC)
_NAMES = ("Amy", "Björn", "Chloé", "Dmitri", "Esra", "François", "Giulia", "Håkon")
_TEXT = """
    account agenda answer archive budget calendar change contract customer delivery deadline draft
    estimate figure holiday invoice issue letter meeting minutes morning number office order paper
    partner plan price project question release report request review schedule server signature
    staff summary supplier ticket travel update version visit week
"""
_WORDS = _TEXT.split()


def flags(number: int) -> str:
    """
    Flags of message C{number} as a Maildir writes them: a tenth are unseen, some are answered,
    a few are flagged.
    """
    return (
        ("F" if number % 50 == 7 else "")
        + ("R" if number % 4 == 1 else "")
        + ("S" if number % 10 else "")
    )


def message(number: int) -> bytes:
    """
    Message C{number}, with LF for line ends, as it lies in a Maildir: most are plain text, every
    fourth has an alternative in HTML and every eighth an attachment.
    """
    chance = random.Random(SEED + number)
    date = _FIRST + datetime.timedelta(minutes=7 * number)
    sender, receiver = chance.sample(range(len(_NAMES)), 2)
    subject = " ".join(chance.sample(_WORDS, 5))
    head = [
        f"Return-Path: <{_address(sender)}>",
        f"Received: from mx{number % 3}.example.org (mx{number % 3}.example.org [192.0.2.7])",
        f"\tby mail.example.com with ESMTPS id {number:08x}; {_date(date)}",
        f"From: {_written(sender)}",
        f"To: {_written(receiver)}",
        f"Subject: {'Re: ' if number % 4 == 1 else ''}{subject}",
        f"Date: {_date(date)}",
        f"Message-ID: <{number:08x}@example.org>",
    ]
    if number % 4 == 1:
        head.append(f"In-Reply-To: <{number - 1:08x}@example.org>")
        head.append(f"References: <{number - 1:08x}@example.org>")
    head.append("MIME-Version: 1.0")
    text = _prose(chance, 2000)
    if number % 8 == 3:
        return _with_attachment(head, text, chance.randbytes(1500))
    if number % 4 == 2:
        return _alternative(head, _prose(chance, 900))
    head += ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"]
    return ("\n".join(head) + "\n\n" + text).encode()


def fill(maildir: Path, messages: int) -> int:
    """
    Put C{messages} messages into a Maildir; how many octets they are.
    """
    for below in ("cur", "new", "tmp"):
        (maildir / below).mkdir(parents=True, exist_ok=True)
    total = 0
    for number in range(messages):
        content = message(number)
        path = f"{maildir}/cur/{name(number, len(content))}"
        with open(path, "wb") as file:
            file.write(content)
        os.utime(path, (stamp(number), stamp(number)))
        total += len(content)
    return total


def link(maildir: Path, messages: int, source: Path, different: int) -> None:
    """
    As many messages that are links to a few files: each of so many times, with its own name and
    flags.

    @param source: a directory for the files, on the same file system
    @param different: how many files
    """
    for below in ("cur", "new", "tmp"):
        (maildir / below).mkdir(parents=True, exist_ok=True)
    source.mkdir(parents=True, exist_ok=True)
    sizes = []
    for number in range(different):
        content = message(number)
        sizes.append(len(content))
        path = source / str(number)
        if not path.exists():
            path.write_bytes(content)
            os.utime(path, (stamp(number), stamp(number)))
    for number in range(messages):
        kind = number % different
        os.link(f"{source}/{kind}", f"{maildir}/cur/{name(number, sizes[kind])}")


def stamp(number: int) -> int:
    """
    When message C{number} came, in seconds.
    """
    return int((_FIRST + datetime.timedelta(minutes=7 * number)).timestamp())


def name(number: int, octets: int) -> str:
    """
    The file name of message C{number}.
    """
    return f"{stamp(number)}.M{number}P1.example,S={octets}:2,{flags(number)}"


def _date(date: datetime.datetime) -> str:
    return date.strftime("%a, %d %b %Y %H:%M:%S +0000")


def _address(index: int) -> str:
    return f"person{index}@example.org"


def _written(index: int) -> str:
    name = _NAMES[index]
    if not name.isascii():
        name = f"=?utf-8?q?{''.join(chr(b) if b < 128 else f'={b:02X}' for b in name.encode())}?="
    return f"{name} Example <{_address(index)}>"


def _prose(chance: random.Random, octets: int) -> str:
    lines, size = [], 0
    while size < octets:
        line = " ".join(chance.choices(_WORDS, k=10))
        lines.append(line)
        size += len(line) + 1
    return "\n".join(lines) + "\n"


def _alternative(head: list[str], text: str) -> bytes:
    head.append('Content-Type: multipart/alternative; boundary="=-between"')
    html = "<html><body>" + "".join(f"<p>{line}</p>\n" for line in text.splitlines())
    parts = (
        f"--=-between\nContent-Type: text/plain; charset=us-ascii\n\n{text}\n"
        f"--=-between\nContent-Type: text/html; charset=us-ascii\n\n{html}</body></html>\n"
        "--=-between--\n"
    )
    return ("\n".join(head) + "\n\n" + parts).encode()


def _with_attachment(head: list[str], text: str, content: bytes) -> bytes:
    head.append('Content-Type: multipart/mixed; boundary="=-between"')
    coded = base64.encodebytes(content).decode("ascii")
    parts = (
        f"--=-between\nContent-Type: text/plain; charset=us-ascii\n\n{text}\n"
        "--=-between\nContent-Type: application/octet-stream\n"
        'Content-Disposition: attachment; filename="report.bin"\n'
        f"Content-Transfer-Encoding: base64\n\n{coded}\n"
        "--=-between--\n"
    )
    return ("\n".join(head) + "\n\n" + parts).encode()
