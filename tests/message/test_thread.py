"""Base subjects and message identifiers (RFC 5256)."""

from __future__ import annotations

import pytest

from mailaccess.message.thread import MAX_REFERENCES, base_subject, identifiers, references


@pytest.mark.parametrize(
    ("subject", "base", "reply"),
    [
        (b"hello", "hello", False),
        (b"Re: hello", "hello", True),
        (b"re : FW: Fwd:  hello  ", "hello", True),
        (b"RE[2]: hello", "hello", True),
        (b"[list] Re: [list] hello", "hello", True),
        (b"[list] hello", "hello", False),
        (b"[list]", "[list]", False),
        (b"hello (fwd) (FWD) ", "hello", True),
        (b"[Fwd: Re: hello]", "hello", True),
        (b"[fwd: [fwd: hello (fwd)]]", "hello", True),
        (b"[fwd: ]", "", True),
        (b"=?utf-8?q?Re=3A_h=C3=A4llo?=", "h\xe4llo", True),
        (b"two\t  words", "two words", False),
        (b"regard: x", "regard: x", False),
        (b"Re:", "", True),
        (b"", "", False),
    ],
)
def test_a_base_subject(subject: bytes, base: str, reply: bool) -> None:
    """RFC 5256 section 2.1"""
    assert base_subject(subject) == (base, reply)


def test_ancestors_come_from_references() -> None:
    """RFC 5256 section 3"""
    header = b"Message-ID: <own@x> (note)\r\nIn-Reply-To: <c@x>\r\n"
    assert references(header + b"References: <a@x>\r\n <b@x> junk <c@\r\n x>\r\n\r\n") == (
        b"own@x",
        [b"a@x", b"b@x", b"c@x"],
    )


def test_without_references_the_first_of_in_reply_to_is_the_parent() -> None:
    header = b'In-Reply-To: Your <message> of today <"a b"@x> <b@x>\r\nReferences: none\r\n\r\n'
    assert references(header) == (None, [b"ab@x"])
    assert references(b"Subject: x\r\n\r\n") == (None, [])


def test_of_too_many_references_the_nearest_are_kept() -> None:
    """MIME-05"""
    value = b" ".join(b"<%d@x>" % n for n in range(MAX_REFERENCES + 500))
    found = identifiers(value)
    assert len(found) == MAX_REFERENCES
    assert found[-1] == b"%d@x" % (MAX_REFERENCES + 499)
