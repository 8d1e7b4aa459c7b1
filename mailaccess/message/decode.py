"""
Octets of a message made text: character sets, encoded words (RFC 2047), transfer encodings (RFC
2045 section 6).

For searching and sorting, so nothing fails: what cannot be decoded is shown as near as can be.
Only character sets are ever looked up, by a table of names; Python's other codecs (zip, hex,
rot13) cannot be reached.
"""

from __future__ import annotations

import binascii
import codecs
import html
import re
from functools import lru_cache

from mailaccess.message.header import unfold
from mailaccess.message.limits import MAX_ENCODED_WORDS
from mailaccess.message.scan import Part

_ALIASES = {
    "ansi": "cp1252",
    "ansi_x3.4": "ascii",
    "cp-850": "cp850",
    "gb2312": "gb18030",
    "gb2312-80": "gb18030",
    "gbk": "gb18030",
    "iso-8859-1": "cp1252",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "iso-8859-9": "cp1254",
    "iso_8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "ks_c_5601": "cp949",
    "ks_c_5601-1987": "cp949",
    "ksc5601": "cp949",
    "euc-kr": "cp949",
    "latin-1": "cp1252",
    "latin1": "cp1252",
    "macintosh": "mac_roman",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "tis-620": "cp874",
    "unicode-1-1-utf-7": "utf-7",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "x-gbk": "gb18030",
    "x-mac-roman": "mac_roman",
    "x-unknown": "utf-8",
    "unknown-8bit": "utf-8",
    "unicode": "utf-16",
    "8bit": "utf-8",
    "default": "utf-8",
}
"""
Names that Python does not know, or that are used for more than they mean (WHATWG Encoding,
section 4.2).
"""

_CODECS = """
ascii big5 big5hkscs cp037 cp1006 cp1026 cp1125 cp1140 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255
cp1256 cp1257 cp1258 cp273 cp424 cp437 cp500 cp720 cp737 cp775 cp850 cp852 cp855 cp856 cp857
cp858 cp860 cp861 cp862 cp863 cp864 cp865 cp866 cp869 cp874 cp875 cp932 cp949 cp950 euc_jis_2004
euc_jisx0213 euc_jp euc_kr gb18030 gb2312 gbk hp-roman8 hz iso2022_jp iso2022_jp_1 iso2022_jp_2
iso2022_jp_2004 iso2022_jp_3 iso2022_jp_ext iso2022_kr iso8859-1 iso8859-10 iso8859-11
iso8859-13 iso8859-14 iso8859-15 iso8859-16 iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6
iso8859-7 iso8859-8 iso8859-9 johab koi8-r koi8-t koi8-u kz1048 mac-croatian mac-cyrillic
mac-greek mac-iceland mac-latin2 mac-roman mac-turkish ptcp154 shift_jis shift_jis_2004
shift_jisx0213 tis-620 utf-16 utf-16-be utf-16-le utf-32 utf-32-be utf-32-le utf-7 utf-8
utf-8-sig
"""
_TEXT_CODECS = frozenset(_CODECS.split())

_NAME = re.compile(r"[a-z0-9][a-z0-9._:+-]{0,39}\Z")
_WORD = re.compile(rb"=\?([!-)+->@-~]{1,60})(?:\*[!->@-~]{0,40})?\?([bBqQ])\?([^?\r\n]*+)\?=")
_BLANK = re.compile(rb"[ \t]*\Z")
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_TRAILING_SPACE = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")


@lru_cache(maxsize=256)
def text_codec(name: str) -> str | None:
    """
    Python's codec for the name of a character set, or None where there is none.
    """
    name = name.strip().lower().replace(" ", "")
    if not _NAME.match(name):
        return None
    name = _ALIASES.get(name, name)
    if name.startswith("x-cp") or name.startswith("cp-"):
        name = name.removeprefix("x-").replace("-", "")
    if name.startswith("windows") and not name.startswith("windows-"):
        name = "windows-" + name.removeprefix("windows")
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    return found if found in _TEXT_CODECS else None


def charset_decode(raw: bytes, charset: bytes) -> str:
    """
    Text from octets. Octets that the character set does not have are replaced; with an unknown
    one, or plain ASCII that is none, UTF-8 is tried, then Latin-1.
    """
    codec = text_codec(charset.decode("latin-1"))
    if codec is None or codec == "utf-8":
        return _guess(raw)
    try:
        return raw.decode(codec, "replace")
    except (UnicodeError, ValueError):
        return _guess(raw)


def _guess(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def unstructured(value: bytes) -> str:
    """
    A header value as text: unfolded, encoded words decoded (white space between two of them
    dropped, and the octets of neighbours with the same character set joined first, since some
    programs cut characters in two), raw octets taken for UTF-8, else Latin-1.
    """
    value = unfold(value)
    if b"=?" not in value:
        return _guess(value)
    text: list[str] = []
    waiting: list[bytes] = []
    charset = b""
    at = 0
    for count, match in enumerate(_WORD.finditer(value)):
        if count >= MAX_ENCODED_WORDS:
            break
        between = value[at : match.start()]
        raw = _word(match[2], match[3])
        if waiting and _BLANK.match(between):
            if match[1].lower() != charset:
                text.append(charset_decode(b"".join(waiting), charset))
                waiting = []
        else:
            if waiting:
                text.append(charset_decode(b"".join(waiting), charset))
            text.append(_guess(between))
            waiting = []
        waiting.append(raw)
        charset = match[1].lower()
        at = match.end()
    if waiting:
        text.append(charset_decode(b"".join(waiting), charset))
    text.append(_guess(value[at:]))
    return "".join(text)


def _word(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"bB":
        return base64_decode(text)
    return _HEX.sub(_octet, text.replace(b"_", b" "))


def _octet(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[1].decode("ascii"))


def base64_decode(raw: bytes) -> bytes:
    """
    Base64 with whatever else stands in it left out, and an unfinished end tolerated.
    """
    kept = raw.split(b"=", 1)[0] if raw.find(b"=") >= len(raw) - 4 else raw
    kept = _NOT_BASE64.sub(b"", kept)
    if len(kept) % 4 == 1:
        kept = kept[:-1]
    return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))


def quoted_printable_decode(raw: bytes) -> bytes:
    """
    Quoted-printable; what is no escape stays as it is.
    """
    if b"=" not in raw:
        return raw
    return binascii.a2b_qp(_TRAILING_SPACE.sub(b"", raw))


def part_octets(data: bytes, part: Part, limit: int | None = None) -> bytes:
    """
    The body of a part with its transfer encoding undone. C{limit} is the most octets of the body
    to look at.
    """
    end = part.end if limit is None else min(part.end, part.body_start + limit)
    raw = data[part.body_start : end]
    encoding = part.encoding.lower()
    if encoding == b"base64":
        return base64_decode(raw)
    if encoding == b"quoted-printable":
        return quoted_printable_decode(raw)
    return raw


def part_text(data: bytes, part: Part, limit: int | None = None) -> str:
    """
    A text part as text. Entities of HTML are decoded, its tags stay.
    """
    charset = b"us-ascii"
    for name, value in part.params:
        if name.lower() == b"charset":
            charset = value
            break
    text = charset_decode(part_octets(data, part, limit), charset)
    if "&" in text and part.subtype.lower() in (b"html", b"xhtml", b"xml"):
        text = html.unescape(text)
    return text
