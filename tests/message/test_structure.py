"""
ENVELOPE, BODY and BODYSTRUCTURE over real and badly written messages, beside an established
server's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from mailaccess.message.envelope import envelope
from mailaccess.message.scan import scan
from mailaccess.message.section import section
from mailaccess.message.structure import body, bodystructure, describe
from tests.message.agreement import GOLDEN, everything, meaning
from tests.message.values import parse

MESSAGES = everything()
ANSWERS = json.loads(GOLDEN.read_text())

LENIENT = "what can be understood is kept rather than dropped"
EMPTY_TYPE = "a Content-Type that cannot be read is text/plain (RFC 2045 section 5.2)"
RAW_2231 = "RFC 2231 pieces are left as written, clients join them"
NOT_OURS = "the delimiter's own CRLF does not belong to the part before it (RFC 2046 section 5.1.1)"
BOUNDARY = "a delimiter is the whole line, so that boundaries that begin alike are kept apart"

DIFFERENCES = {
    "legacy/049": "the other server dropped a bare CR at the end when it stored the message",
    "rfc/008": NOT_OURS,
    "whole/forwarded": NOT_OURS,
    "address/comment-open": LENIENT,
    "address/group-nested": LENIENT,
    "address/unclosed-angle": LENIENT,
    "address/unclosed-quote": LENIENT,
    "address/commas": "nothing between two commas is no address (RFC 5322 section 4.4)",
    "address/semicolons": LENIENT,
    "address/obsolete-spaces": "RFC 5322 section 4.4 allows space around dots",
    "address/words-then-addr": LENIENT,
    "address/nul": LENIENT,
    "address/backslash-end": LENIENT,
    "address/mailto-apostrophe": "the address is the one in angle brackets",
    "address/name-is-bare-address": "the words before the angle brackets are the name",
    "address/outlook-brackets": LENIENT,
    "type/no-subtype": EMPTY_TYPE,
    "type/slash-only": EMPTY_TYPE,
    "type/empty": EMPTY_TYPE,
    "type/junk": EMPTY_TYPE,
    "type/no-semicolon": EMPTY_TYPE,
    "type/nul": EMPTY_TYPE,
    "type/semicolons": LENIENT,
    "type/no-equals": LENIENT,
    "type/quote-open": LENIENT,
    "type/space-in-token": LENIENT,
    "type/specials-in-token": LENIENT,
    "type/rfc2231": RAW_2231,
    "field/encoding-junk": LENIENT,
    "field/disposition-empty": "a disposition without a type is none",
    "whole/bare-lf": "the other server made the line ends CRLF when it stored the message",
    "whole/delimiter-longer": BOUNDARY,
    "whole/boundary-spaces": "a boundary cannot end with a space (RFC 2046 section 5.1.1)",
    "whole/boundary-empty": "an empty boundary is none",
    "whole/nested-same-boundary": "a delimiter belongs to the outermost part that has it",
}


def bodies(value: list, at: tuple[int, ...] = (), top: bool = True) -> Iterator[tuple]:
    """Part numbers and their structures, those of messages inside included."""
    if isinstance(value[0], list):
        for number, child in enumerate((item for item in value if _is_body(item)), 1):
            yield from bodies(child, (*at, number), False)
        return
    here = (*at, 1) if top else at
    yield here, value
    if value[0].lower() == b"message" and value[1].lower() == b"rfc822":
        yield from bodies(value[8], here, True)


def _is_body(item: object) -> bool:
    return isinstance(item, list) and (
        isinstance(item[0], list) or (len(item) > 6 and isinstance(item[6], int))
    )


@pytest.mark.parametrize("name", MESSAGES)
def test_what_is_written_is_well_formed_and_true(name: str) -> None:
    """MIME-07; sizes and line counts are those of the octets that FETCH gives for the part."""
    data = MESSAGES[name]
    described = describe(data)
    root = scan(data)
    assert described.envelope == envelope(data)
    assert described.body == body(data, root)
    assert described.bodystructure == bodystructure(data, root)
    assert len(parse(described.envelope)) == 10
    for text in (described.body, described.bodystructure):
        for numbers, value in bodies(parse(text)):
            octets = section(data, numbers, "", (), root)
            assert octets is not None, numbers
            assert value[6] == len(octets)
            if value[0].lower() == b"text":
                assert value[7] == octets.count(b"\n")
            elif value[0].lower() == b"message" and value[1].lower() == b"rfc822":
                assert value[9] == octets.count(b"\n")


@pytest.mark.parametrize("name", MESSAGES)
def test_parts_lie_inside_each_other(name: str) -> None:
    data = MESSAGES[name]
    work = [scan(data)]
    while work:
        part = work.pop()
        assert 0 <= part.header_start <= part.body_start <= part.end <= len(data)
        at = part.body_start
        for child in part.children:
            assert at <= child.header_start
            assert child.end <= part.end
            at = child.end
        work.extend(part.children)
        if part.message is not None:
            assert (part.message.header_start, part.message.end) == (part.body_start, part.end)
            work.append(part.message)


@pytest.mark.parametrize("name", ANSWERS)
def test_an_established_server_says_the_same(name: str) -> None:
    """
    Dovecot 2.3's answers, kept; where ours differ on purpose they must, or the reason is stale.
    """
    described = describe(MESSAGES[name])
    ours = [described.envelope, described.bodystructure]
    agreed = all(
        meaning(parse(theirs.encode("latin-1"))) == meaning(parse(own))
        for theirs, own in zip(ANSWERS[name], ours, strict=True)
    )
    assert agreed is (name not in DIFFERENCES), DIFFERENCES.get(name)


def test_every_message_has_a_kept_answer() -> None:
    """An empty message cannot be given to the other server."""
    assert set(MESSAGES) - set(ANSWERS) == {"whole/nothing"}
    assert set(DIFFERENCES) <= set(ANSWERS)


def structure(data: bytes) -> list:
    return parse(describe(data).bodystructure)


def test_names_of_files_keep_their_case_and_encoding_defaults_to_7bit() -> None:
    text = b'Content-Type: application/pdf; name="A b.TXT"\r\n\r\nx'
    assert describe(text).bodystructure == (
        b'("application" "pdf" ("name" "A b.TXT") NIL NIL "7BIT" 1 NIL NIL NIL NIL)'
    )
    assert describe(text).body == b'("application" "pdf" ("name" "A b.TXT") NIL NIL "7BIT" 1)'


def test_rfc2231_pieces_are_returned_as_written() -> None:
    value = structure(MESSAGES["type/rfc2231"])
    assert value[2][::2] == [b"name*0*", b"name*1", b"name*2*"]
    assert value[2][1::2] == [b"us-ascii'en'a%20b", b"c", b"%20d"]


def test_a_content_type_that_cannot_be_read_is_plain_text() -> None:
    for name in ("type/junk", "type/empty", "type/no-subtype", "type/slash-only"):
        value = structure(MESSAGES[name])
        assert value[:3] == [b"text", b"plain", [b"charset", b"us-ascii"]]


def test_a_multipart_without_parts_shows_an_empty_one_that_can_be_fetched() -> None:
    for name in ("whole/only-text", "whole/only-close", "type/multipart-no-boundary"):
        value = structure(MESSAGES[name])
        assert value[0][:2] == [b"text", b"plain"]
        assert value[0][6:8] == [0, 0]
        assert value[1] == b"mixed"
        assert section(MESSAGES[name], (1,), "") == b""
        assert section(MESSAGES[name], (2,), "") is None


def test_the_extension_data_is_complete() -> None:
    """RFC 3501 section 7.4.2: MD5, disposition, language, location, in this order."""
    data = (
        b"Content-Type: image/png\r\nContent-MD5: abc==\r\nContent-ID: <1@x>\r\n"
        b"Content-Description: a picture\r\nContent-Language: de, en (x)\r\n"
        b"Content-Location: http://x.example/\r\n"
        b'Content-Disposition: ATTACHMENT; filename="A.png"\r\n'
        b"Content-Transfer-Encoding: BASE64\r\n\r\nAAAA\r\n"
    )
    assert describe(data).bodystructure == (
        b'("image" "png" NIL "<1@x>" "a picture" "BASE64" 6 "abc=="'
        b' ("ATTACHMENT" ("filename" "A.png")) ("de" "en") "http://x.example/")'
    )


def test_sender_and_reply_to_default_to_from() -> None:
    """RFC 3501 section 7.4.2, also where they are there but empty"""
    value = parse(envelope(b"From: a@b.example\r\nSender:\r\nReply-To: (none)\r\n\r\n"))
    assert value[2] == value[3] == value[4] == [[None, None, b"a", b"b.example"]]
    assert parse(envelope(b"Subject:\r\n\r\n"))[:2] == [None, b""]


def test_a_header_cannot_write_imap_of_its_own() -> None:
    """MIME-07"""
    evil = b'x" NIL) {5}\r\n a) OK [\\ \0'
    data = b"Subject: " + evil + b"\r\nFrom: " + evil + b" <" + evil + b"@c>\r\nMessage-ID: " + evil
    data += b'\r\nContent-Type: a/b; c="' + evil + b'"\r\nContent-ID: ' + evil + b"\r\n\r\n"
    described = describe(data)
    value = parse(described.envelope)
    assert value[1] == value[9] == b'x" NIL) {5} a) OK [\\ \x80'
    assert len(value) == 10
    assert len(parse(described.bodystructure)) == 11


def test_a_delimiter_is_a_whole_line() -> None:
    """A boundary that begins with its parent's does not end the parent's part."""
    data = MESSAGES["whole/nested"]
    value = structure(data)
    assert [item[:2] for item in value[0][:2]] == [[b"text", b"plain"], [b"text", b"html"]]
    assert value[1][:2] == [b"image", b"png"]
