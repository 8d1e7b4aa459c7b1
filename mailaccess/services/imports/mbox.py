"""
Mail in mbox files: one file, or a directory with a file for each folder.

    source = MboxSource("/home/amy/mail")
    for folder in source.folders():
        for message in source.messages(folder, ()): ...

A message begins with a line C{From SENDER DATE} at the start of the file or after an empty line.
Such lines inside of a message are written with a C{>} before them, one more for each that they had,
and lose it here. C{Content-Length} is believed where it ends before the next such line or at the
end of the file. Flags are taken from what mail programs write into headers: C{Status}, C{X-Status},
C{X-Keywords} (UW, Pine, mutt, Dovecot) and C{X-Mozilla-Status}, C{X-Mozilla-Keys}; these fields,
which speak of the file, are left out.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import mmap
import os
import re
import stat
from collections import Counter
from collections.abc import Container, Iterator
from email.utils import mktime_tz, parsedate_tz
from typing import BinaryIO

from mailaccess.message.lineends import to_crlf

from .source import KEYWORD, CannotImport, Folder, Message

_FROM = re.compile(rb"From (?:.{0,500}\d\d?:\d\d[^\n]{0,100}|-?[ \t]*\r?)(?:\n|\Z)")
_NEXT = re.compile(rb"\n\r?\nFrom (?:[^\n]{0,500}?\d\d?:\d\d[^\n]{0,100}|-?[ \t]*\r?)(?=\n|\Z)")
_BLANK = re.compile(rb"\n\r?\n")
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_OURS = re.compile(
    rb"^(Status|X-Status|X-Keywords|X-UID|X-IMAP|X-IMAPbase|X-Mozilla-Status2?|X-Mozilla-Keys"
    rb"|Content-Length):[ \t]*((?:[^\n]|\n[ \t])*)(?:\n|\Z)",
    re.MULTILINE | re.IGNORECASE,
)
_DATE = re.compile(rb"^Date:[ \t]*((?:[^\n]|\n[ \t])*)", re.MULTILINE | re.IGNORECASE)
_LETTERS = {"R": "\\Seen", "A": "\\Answered", "F": "\\Flagged", "D": "\\Deleted", "T": "\\Draft"}
_MOZILLA = {0x1: "\\Seen", 0x2: "\\Answered", 0x4: "\\Flagged"}
_MOZILLA_EXPUNGED = 0x8
_MOST_HEADER = 1 << 20
_MARKS = 1 << 20
"""Octets that a message in a file may have more than here: what speaks of the file, and marks."""


class MboxSource:
    """
    One file or one directory.
    """

    def __init__(self, path: str, name: str = "", most: int = 1 << 40) -> None:
        """
        @param name: of the mailbox for a file; for a directory, of the one that the folders are
            put below; if empty, INBOX for a file and nothing for a directory
        @param most: octets of the largest message that is read
        """
        self._most = most
        self._path = os.path.abspath(path)
        self._name = name
        self.label = f"mbox {self._path}"
        self.left_out: list[str] = []
        self._files: dict[str, BinaryIO] = {}
        self._found: list[Folder] | None = None

    def folders(self) -> list[Folder]:
        """
        A file is one folder. In a directory, files that begin as mbox files do are folders, and
        directories (also C{NAME.sbd}, as Thunderbird names them) the levels above them. All files
        are opened here, by whoever may read them, and read later, by whoever the mail belongs to.
        Symbolic links are not followed: whoever put them there may not be allowed to read what they
        lead to, root is.
        """
        if self._found is None:
            if os.path.isdir(self._path):
                self._found = self._below()
            elif self._opens(self._path):
                self._found = [Folder(self._name or "INBOX", self._path)]
            else:
                raise CannotImport(f"{self.left_out[-1]}; name a file or a directory with mail")
        return self._found

    def _below(self) -> list[Folder]:
        found = []
        if os.path.islink(self._path):
            raise CannotImport(f"{self._path}: a symbolic link, name what it leads to")
        for directory, below, files, at in os.fwalk(self._path, onerror=self._unread):
            below.sort()
            above = os.path.relpath(directory, self._path)
            levels = [] if above == "." else above.split(os.sep)
            levels = [each.removesuffix(".sbd") for each in levels]
            for each in sorted(files):
                path = os.path.join(directory, each)
                if not self._opens(path, at):
                    continue
                parts = [*([self._name] if self._name else []), *levels, each]
                name = "/".join(parts)
                found.append(Folder("INBOX" if name.upper() == "INBOX" else name, path))
        if not found:
            raise CannotImport(f"{self._path}: no mbox file in it; name a file, or another place")
        return found

    def _unread(self, error: OSError) -> None:
        self.left_out.append(f"{error.filename}: {error.strerror}")

    def _opens(self, path: str, directory: int | None = None) -> bool:
        """
        Whether it is a file as programs for mail write it.

        @param directory: opened, if it is in one that was looked through
        """
        name = os.path.basename(path)
        if directory is not None and name.startswith("."):
            return False
        try:
            # Who waits for a FIFO waits long.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            opened = os.open(path if directory is None else name, flags, dir_fd=directory)
            file = open(opened, "rb")  # noqa: SIM115 - closed with the source
        except OSError as error:
            link = error.errno == errno.ELOOP
            why = "a symbolic link, name what it leads to" if link else error.strerror
            self.left_out.append(f"{path}: {why}")
            return False
        regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        start = file.read(700) if regular else b""
        if not regular or (start and _FROM.match(start) is None):
            file.close()
            why = "does not begin with a From line" if regular else "is no file"
            self.left_out.append(f"{path}: no mbox file, it {why}")
            return False
        self._files[path] = file
        return True

    def messages(self, folder: Folder, done: Container[str]) -> Iterator[Message]:
        """
        Keys are digests, with a number for messages that are there more than once; so they are the
        same when others were removed from the file or added, or flags were changed.
        """
        file = self._files[folder.place]
        try:
            size = os.fstat(file.fileno()).st_size
            if not size:
                return
            view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise CannotImport(f"{folder.place}: {reason}") from None
        with contextlib.closing(view):
            seen: Counter[bytes] = Counter()
            for start, end in _extents(view):
                if end - start > self._most + _MARKS:
                    size_of = f"{end - start} octets are more than message_size"
                    self.left_out.append(f"{folder.place}: message at octet {start}: {size_of}")
                    continue
                raw = bytes(view[start:end])
                digest = _digest(raw)
                seen[digest] += 1
                key = f"{digest.hex()}.{seen[digest]}"
                if key not in done:
                    made = _message(raw, key, end / size)
                    if made is not None:
                        yield made

    def close(self) -> None:
        """
        Close the files.
        """
        for each in self._files.values():
            each.close()


def _extents(view: mmap.mmap) -> Iterator[tuple[int, int]]:
    """
    Where messages begin and end, their From line included.
    """
    start, size = 0, len(view)
    while start < size:
        end = _by_length(view, start)
        if end is None:
            found = _NEXT.search(view, start)
            end = _without_separator(view) if found is None else found.start() + 1
        yield start, end
        # Over the empty line.
        while end < size and view[end : end + 1] in (b"\r", b"\n"):
            end += 1
        start = end


def _without_separator(view: mmap.mmap) -> int:
    """
    The end of the last message: programs write an empty line after each.
    """
    size = len(view)
    for blank in (b"\n\r\n", b"\n\n"):
        if view[size - len(blank) :] == blank:
            return size - len(blank) + 1
    return size


def _by_length(view: mmap.mmap, start: int) -> int | None:
    """
    The end by Content-Length, if there is one that can be true.
    """
    blank = _BLANK.search(view, start, start + _MOST_HEADER)
    if blank is None:
        return None
    header = bytes(view[start : blank.start() + 1])
    for found in _OURS.finditer(header):
        if found[1].lower() == b"content-length":
            if not found[2].strip().isdigit() or len(found[2]) > 20:
                return None
            end = blank.end() + int(found[2])
            if end >= len(view):
                return len(view) if end == len(view) else None
            rest = bytes(view[end : end + 700]).lstrip(b"\r\n")
            return end if not rest or _FROM.match(rest) is not None else None
    return None


def _split(raw: bytes) -> tuple[bytes, bytes, bytes, bool]:
    """
    The From line, header and body, and whether there is an empty line between those; with LF.
    """
    line, _, rest = raw.partition(b"\n")
    rest = rest.replace(b"\r\n", b"\n") if b"\r\n" in rest[:4096] else rest
    cut = -1 if rest.startswith(b"\n") else rest.find(b"\n\n")
    if cut >= 0:
        return line, rest[: cut + 1], rest[cut + 2 :], True
    return line, rest, b"", False


def _digest(raw: bytes) -> bytes:
    """
    Of what stays the same when programs write flags into the file.
    """
    line, header, body, parted = _split(raw)
    digest = hashlib.blake2b(line, digest_size=12)
    digest.update(_OURS.sub(b"", header))
    digest.update(b"\n" * parted)
    digest.update(body)
    return digest.digest()


def _message(raw: bytes, key: str, fraction: float) -> Message | None:
    """
    None for what is no message: what UW keeps in front of the file, what Thunderbird has removed.
    """
    line, header, body, parted = _split(raw)
    fields = {found[1].lower(): found[2] for found in _OURS.finditer(header)}
    if b"x-imap" in fields and b"folder internal data" in header.lower():
        return None
    flags = _flags(fields)
    if flags is None:
        return None
    kept = _OURS.sub(b"", header)
    text = kept + b"\n" + body if parted else kept
    return Message(key, to_crlf(_QUOTED.sub(rb"\1", text)), flags, _date(line, header), fraction)


def _flags(fields: dict[bytes, bytes]) -> tuple[str, ...] | None:
    letters = (fields.get(b"status", b"") + fields.get(b"x-status", b"")).decode("latin-1")
    flags = {_LETTERS[each] for each in letters if each in _LETTERS}
    try:
        mozilla = int(fields.get(b"x-mozilla-status", b"0").strip() or b"0", 16)
    except ValueError:
        mozilla = 0
    if mozilla & _MOZILLA_EXPUNGED:
        return None
    flags |= {flag for bit, flag in _MOZILLA.items() if mozilla & bit}
    words = fields.get(b"x-keywords", b"") + b" " + fields.get(b"x-mozilla-keys", b"")
    for word in words.decode("latin-1").split():
        if KEYWORD.fullmatch(word):
            flags.add(word)
    return tuple(sorted(flags))


def _date(line: bytes, header: bytes) -> int | None:
    """
    From the From line, which has no zone or one at its end; else from the Date field.
    """
    clock = re.search(rb"(?:[A-Za-z]{3},? +)?[A-Za-z]{3} +\d+ +\d\d?:\d\d.*", line)
    texts = [clock[0]] if clock is not None else []
    dated = _DATE.search(header)
    if dated is not None:
        texts.append(dated[1])
    for text in texts:
        try:
            parsed = parsedate_tz(text.decode("latin-1").strip()[:200])
            if parsed is not None:
                moment = int(mktime_tz((*parsed[:9], parsed[9] or 0)))
                if 0 <= moment < 1 << 32:
                    return moment
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return None
