"""
Messages made to hurt. Each must be described with an answer whose size is bounded by the limits or
by the message, and in work that grows with its size: the work is counted in lines of our code run,
at two sizes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from mailaccess.message import limits
from mailaccess.message.address import addresses
from mailaccess.message.decode import base64_decode, quoted_printable_decode, unstructured
from mailaccess.message.header import fields, header_end, pick
from mailaccess.message.parameters import content_type
from mailaccess.message.scan import Part, scan
from mailaccess.message.section import section
from mailaccess.message.structure import describe
from mailaccess.message.text import body_text, header_text, header_value
from mailaccess.message.thread import base_subject, identifiers, references
from tests.message.values import parse


def nested_multiparts(count: int) -> bytes:
    levels = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(count)
    )
    return levels + b"\r\ntext\r\n"


def nested_messages(count: int) -> bytes:
    return b"Content-Type: message/rfc822\r\n\r\n" * count + b"Subject: x\r\n\r\ntext\r\n"


def many_parts(count: int) -> bytes:
    return (
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
        + b"--x\r\nContent-Type: image/png\r\n\r\nx\r\n" * count
        + b"--x--\r\n"
    )


def siblings_that_never_end(count: int) -> bytes:
    """Each part opens a multipart of its own that has no delimiter."""
    return b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"".join(
        b"--x\r\nContent-Type: multipart/mixed; boundary=y%d\r\n\r\n--z\r\n" % n
        for n in range(count)
    )


def depth_of(root: Part) -> tuple[int, int]:
    deepest = total = 0
    work = [(root, 1)]
    while work:
        part, depth = work.pop()
        total += 1
        deepest = max(deepest, depth)
        inner = [part.message] if part.message is not None else part.children
        work.extend((child, depth + 1) for child in inner)
    return deepest, total


def test_a_hundred_thousand_nested_multiparts_are_taken_apart_to_the_limit() -> None:
    """MIME-01"""
    data = nested_multiparts(100_000)
    root = scan(data)
    assert depth_of(root) == (limits.MAX_DEPTH + 1, limits.MAX_DEPTH + 1)
    described = describe(data)
    assert len(described.bodystructure) < 20_000
    assert b'"application" "octet-stream"' in described.bodystructure
    parse(described.bodystructure)
    last = section(data, (1,) * limits.MAX_DEPTH, "", (), root)
    assert last is not None
    assert last.endswith(b"\r\ntext\r\n")
    assert section(data, (1,) * (limits.MAX_DEPTH + 1), "", (), root) is None


def test_nested_messages_are_taken_apart_to_the_limit() -> None:
    """MIME-01"""
    data = nested_messages(20_000)
    root = scan(data)
    assert depth_of(root)[0] == limits.MAX_MESSAGES + 1
    assert len(describe(data).bodystructure) < 10_000
    parse(describe(data).body)
    inside = nested_messages(limits.MAX_MESSAGES - 1)
    assert section(inside, (1,) * (limits.MAX_MESSAGES - 1), "HEADER") == b"Subject: x\r\n\r\n"


def test_fifty_thousand_parts_are_ten_thousand_and_a_rest() -> None:
    """MIME-01: the last part has all that is left, nothing is lost"""
    data = many_parts(50_000)
    root = scan(data)
    assert depth_of(root) == (2, limits.MAX_PARTS)
    assert root.children[-1].end == len(data)
    assert len(describe(data).bodystructure) < 100 * limits.MAX_PARTS


def test_beyond_the_limit_a_multipart_is_opaque_and_can_be_fetched() -> None:
    """MIME-01"""
    inner = b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n1\r\n--y--\r\n"
    head = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
    root = scan(head + inner * 9_000)
    assert sum(len(child.children) for child in root.children) < limits.MAX_PARTS
    assert depth_of(root)[1] <= limits.MAX_PARTS
    last = root.children[-1]
    assert last.opaque
    assert not last.multipart


def test_a_hundred_thousand_addresses_are_cut_off() -> None:
    """MIME-03"""
    data = b"To: " + b"x <a@b.example>,\r\n " * 100_000 + b"\r\n\r\n"
    value = parse(describe(data).envelope)
    assert len(value[5]) == limits.MAX_ADDRESSES


def test_half_a_million_from_lines_are_cut_off() -> None:
    """MIME-03"""
    data = b"From: a@b.example\r\n" * 500_000 + b"\r\n"
    described = describe(data)
    assert len(described.envelope) < 3 * 40 * limits.MAX_ADDRESSES
    assert len(header_value(data, b"from")) <= limits.MAX_ADDRESSES
    assert header_text(data).count("\n") <= limits.MAX_ADDRESSES
    assert pick(data, [b"from"], False) == data
    assert pick(data, [b"from"], True) == b"\r\n"


@pytest.mark.parametrize("name", [b"Subject", b"To", b"Content-Type"])
@pytest.mark.parametrize(
    "text",
    [b"x", b"a b ", b"(", b'"', b"\\", b"<", b"@", b";", b"a;b=c;", b",", b":", b"=?", b"\r\n "],
)
def test_a_header_of_a_megabyte_gives_a_bounded_answer(name: bytes, text: bytes) -> None:
    """MIME-03, MIME-06"""
    data = name + b": " + text * (1_000_000 // len(text)) + b"\r\n\r\nbody"
    described = describe(data)
    assert len(described.envelope) < 4 * limits.MAX_VALUE
    assert len(described.bodystructure) < 4 * limits.MAX_STRING
    assert len(parse(described.envelope)) == 10
    parse(described.bodystructure)


def test_a_header_of_ten_megabytes_gives_no_more() -> None:
    """MIME-03"""
    data = b"Subject: " + b"x " * 5_000_000 + b"\r\nTo: a@b.example\r\n\r\nbody"
    value = parse(describe(data).envelope)
    assert len(value[1]) <= limits.MAX_STRING
    assert value[5] == [[None, None, b"a", b"b.example"]]
    assert section(data, (1,), "") == b"body"


def test_encoded_words_beyond_the_limit_stay_as_they_are() -> None:
    """MIME-04"""
    text = unstructured(b" ".join([b"=?utf-8?q?a?="] * 20_000))
    assert text.startswith("a" * limits.MAX_ENCODED_WORDS + " =?utf-8?q?a?=")
    assert text.count("=?") == 20_000 - limits.MAX_ENCODED_WORDS


def test_parameters_beyond_the_limit_are_left_out() -> None:
    """MIME-04"""
    value = b"a/b" + b"".join(b"; name*%d*=%%20" % n for n in range(20_000))
    parsed = content_type(value)
    assert parsed is not None
    assert len(parsed[2]) == limits.MAX_PARAMETERS
    assert len(describe(b"Content-Type: " + value + b"\r\n\r\n").bodystructure) < 100_000


def lines_run(work: Callable[[], object]) -> int:
    """How many lines of Python run, whatever the machine is doing otherwise."""
    count = 0

    def trace(frame: object, event: str, argument: object) -> object:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


GROWING: dict[str, Callable[[int], object]] = {
    "nested multiparts": lambda n: describe(nested_multiparts(n)),
    "nested messages": lambda n: describe(nested_messages(n)),
    "parts": lambda n: describe(many_parts(n)),
    "endless siblings": lambda n: describe(siblings_that_never_end(n)),
    "dashes": lambda n: describe(many_parts(1) + b"--x-\r\n--xx\r\n" * n),
    "addresses": lambda n: addresses(b"a@b.example," * n),
    "bad addresses": lambda n: addresses(b"a b@c@d <e@f (x\\)) g," * n),
    "open groups": lambda n: addresses(b"a:b," * n),
    "words": lambda n: addresses(b"a . " * n),
    "words before an at sign": lambda n: addresses(b"a . " * n + b"@b"),
    "comments": lambda n: addresses(b"(" * n),
    "closed comments": lambda n: addresses(b"()" * n),
    "nested comments": lambda n: addresses(b"(" * n + b")" * n + b"a@b"),
    "routes": lambda n: addresses(b"<@a," * n),
    "parameters": lambda n: content_type(b"a/b" + b"; a=b c" * n),
    "semicolons": lambda n: content_type(b"a/b" + b"; ; " * n),
    "quotes": lambda n: content_type(b"a/b" + b'; a="b\\"' * n),
    "type comments": lambda n: content_type(b"a/b" + b"(" * n + b")" * n),
    "encoded words": lambda n: unstructured(b"=?utf-8?q?a?= " * n),
    "half encoded words": lambda n: unstructured(b"=?utf-8?q?a " * n),
    "fields": lambda n: fields(b"a: b\r\n" * n, 0, 6 * n),
    "subject leaders": lambda n: base_subject(b"[a] re: " * n),
    "subject blobs": lambda n: base_subject(b"[a]" * n),
    "forwards": lambda n: base_subject(b"[fwd: " * n + b"]" * n),
    "identifiers": lambda n: identifiers(b"<a@b>" * n),
    "open identifiers": lambda n: identifiers(b'<"a@' * n),
    "references": lambda n: references(b"References: " + b"<a@b>\r\n " * n + b"\r\n\r\n"),
    "text": lambda n: body_text(many_parts(n), scan(many_parts(n))),
}


@pytest.mark.parametrize("name", GROWING)
def test_work_grows_with_the_size_and_no_faster(name: str) -> None:
    """MIME-01, MIME-03, MIME-04, MIME-06"""
    work = GROWING[name]
    work(2)
    small, large = lines_run(lambda: work(200)), lines_run(lambda: work(800))
    assert large <= 4.5 * small + 200


@pytest.mark.parametrize(
    "work",
    [
        lambda: header_end(b"a\r\n" * 3_000_000),
        lambda: scan(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x-" * 2_000_000),
        lambda: scan(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"\n--x" * 2_000_000),
        lambda: content_type(b"a/b" + b";" * 3_000_000),
        lambda: content_type(b"a/b" + b"; " * 3_000_000),
        lambda: content_type(b"a/b; a=" + b'"' * 1_000_001),
        lambda: content_type(b"a/b; a=" + b"\\" * 1_000_001),
        lambda: content_type(b"a/b; a=" + b"x " * 1_000_001),
        lambda: content_type(b"a/b;" + b"x " * 1_000_001),
        lambda: content_type(b"a" * 5_000_000),
        lambda: addresses(b'"' + b"\\" * 1_000_001),
        lambda: addresses(b"a " * 1_000_000),
        lambda: addresses(b"[" * 1_000_000),
        lambda: addresses(b"<" * 1_000_000),
        lambda: addresses(b" " * 1_000_000 + b"x"),
        lambda: unstructured(b"=?" * 2_000_000),
        lambda: unstructured(b"=?a?q?" * 1_000_000),
        lambda: unstructured(b"=?a?q?" + b"x" * 5_000_000),
        lambda: unstructured(b"=?a?b?" + b"=" * 1_000_000 + b"?="),
        lambda: base64_decode(b"=" * 5_000_000),
        lambda: base64_decode(b"A=" * 2_000_000),
        lambda: quoted_printable_decode(b"=" * 5_000_000),
        lambda: quoted_printable_decode(b"= " * 2_000_000),
        lambda: quoted_printable_decode(b"=" + b" \t" * 2_000_000 + b"x"),
    ],
)
def test_megabytes_of_one_thing_come_to_an_end(work: Callable[[], object]) -> None:
    """MIME-06: patterns do not backtrack; quadratic work would take hours here."""
    work()
