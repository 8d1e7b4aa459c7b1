"""Address lists: RFC 5322, its obsolete forms, and what is found in mail (MIME-05, MIME-06)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailaccess.message.address import addresses
from mailaccess.message.limits import MAX_ADDRESSES

AB = (None, None, b"a", b"b.example")
CD = (None, None, b"c", b"d.example")
END = (None, None, None, None)


def group(name: bytes) -> tuple[None, None, bytes, None]:
    return (None, None, name, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"a@b.example", [AB]),
        (b"", []),
        (b" , ,(x)", []),
        (b'"Smith, J" <a@b.example>, c@d.example', [(b"Smith, J", None, b"a", b"b.example"), CD]),
        (b'"J \\"X\\"" <a@b.example>', [(b'J "X"', None, b"a", b"b.example")]),
        (b"Foo\t  Bar <a@b.example>", [(b"Foo Bar", None, b"a", b"b.example")]),
        (b"=?utf-8?q?x?= <a@b.example>", [(b"=?utf-8?q?x?=", None, b"a", b"b.example")]),
        (b"a@b.example (A (the) B)", [(b"A (the) B", None, b"a", b"b.example")]),
        (b"a@b.example (open", [(b"open", None, b"a", b"b.example")]),
        (b"g: a@b.example, c@d.example;, a@b.example", [group(b"g"), AB, CD, END, AB]),
        (b"undisclosed-recipients:;", [group(b"undisclosed-recipients"), END]),
        (b'"a group":;', [group(b"a group"), END]),
        (b"g: a@b.example", [group(b"g"), AB, END]),
        (b"g: h: a@b.example;;", [group(b"g"), AB, END]),
        (b":;", [group(b""), END]),
        (
            b"<@r.example,@s.example:a@b.example>",
            [(None, b"@r.example,@s.example", b"a", b"b.example")],
        ),
        (b"<@b.example>", [(None, None, b"MISSING_MAILBOX", b"b.example")]),
        (b"root", [(None, None, b"root", b"MISSING_DOMAIN")]),
        (b"two words", [(b"two words", None, b"MISSING_MAILBOX", b"MISSING_DOMAIN")]),
        (b"<>", [(None, None, b"MISSING_MAILBOX", b"MISSING_DOMAIN")]),
        (b"a@b.example; c@d.example", [AB, CD]),
        (b"Foo <a@b.example", [(b"Foo", None, b"a", b"b.example")]),
        (b"Foo a@b.example", [(b"Foo", None, b"a", b"b.example")]),
        (b"john . doe @ b . example", [(None, None, b"john.doe", b"b.example")]),
        (b'"a b"@c.example', [(None, None, b"a b", b"c.example")]),
        (b"a@[192.0.2.1]", [(None, None, b"a", b"[192.0.2.1]")]),
        (b"'x@y.example' <a@b.example>", [(b"'x@y.example'", None, b"a", b"b.example")]),
        (b"a@b@c.example", [(None, None, b"a", b"b")]),
        (b"a@b.example,\r\n\tc@d.example", [AB, CD]),
        (b"Fo\0o <a@b.example>", [(b"Fo\x80o", None, b"a", b"b.example")]),
        (b"J\xfc <a@b.example>", [(b"J\xfc", None, b"a", b"b.example")]),
        (b'"" <a@b.example>', [AB]),
    ],
)
def test_an_address_list_is_read(value: bytes, expected: list) -> None:
    assert addresses(value) == expected


def test_groups_that_open_always_close() -> None:
    """RFC 3501 section 7.4.2: a client that waits for the end of a group must find it."""
    for value in (b"g:" * 50, b"g:a@b," * 50, b"g:;" * 50, b"a@b;" * 50, b"g: (", b'g: "'):
        found = addresses(value)
        opened = [one for one in found if one[3] is None and one[2] is not None]
        assert len(opened) == found.count(END)


def test_only_so_many_addresses_are_read() -> None:
    """MIME-03"""
    assert len(addresses(b"a@b.example," * (MAX_ADDRESSES + 10))) == MAX_ADDRESSES
    assert len(addresses(b"a@b.example (x)," * (MAX_ADDRESSES + 10))) == MAX_ADDRESSES


PIECES = st.sampled_from(
    [bytes([byte]) for byte in b'()<>@,;:\\"[]. \t\0=?\xfc'] + [b"a", b"b.example"]
)


@given(st.lists(PIECES, max_size=40).map(b"".join))
def test_no_value_fails_and_every_address_is_whole(value: bytes) -> None:
    """MIME-06"""
    for name, route, mailbox, host in addresses(value):
        assert mailbox is not None or (name, route, host) == (None, None, None)
        for text in (name, route, mailbox, host):
            assert text is None or not {0, 10, 13} & set(text)
