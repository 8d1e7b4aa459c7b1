"""Real messages with small damage: whatever it is, what is written stays well formed and true."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mailaccess.message.lineends import crlf_size, to_crlf
from mailaccess.message.scan import scan
from mailaccess.message.section import section
from mailaccess.message.structure import describe
from mailaccess.message.text import body_text, fold, header_text, sent_date
from mailaccess.message.thread import base_subject, references
from tests.message.agreement import everything
from tests.message.test_structure import bodies
from tests.message.values import parse

SEEDS = [data[:4000] for data in everything().values()]
MARKS = b'\r\n|\n|\r|\0|"|\\|(|)|<|>|:|;|=|--|\xff| |\t|\r\n\r\n|{5}|=?|?=|,|'.split(b"|")
NESTS = [
    b"Content-Type: message/rfc822\r\n",
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n",
    b"\r\n--x--\r\n",
]
DAMAGE = st.sampled_from(MARKS + NESTS)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 20))
        data = data[:at] + draw(DAMAGE) + data[at + length :]
    return data


@settings(max_examples=300, deadline=None)
@given(damaged())
def test_damage_never_makes_an_answer_that_is_not_imap(data: bytes) -> None:
    """MIME-06, MIME-07"""
    described = describe(data)
    assert len(parse(described.envelope)) == 10
    root = scan(data)
    for answer in (described.body, described.bodystructure):
        for numbers, value in bodies(parse(answer)):
            octets = section(data, numbers, "", (), root)
            assert octets is not None
            assert value[6] == len(octets)
            assert octets in data


@settings(max_examples=200, deadline=None)
@given(damaged())
def test_damage_never_makes_a_search_fail(data: bytes) -> None:
    """MIME-05, MIME-06"""
    fold(header_text(data) + body_text(data, scan(data)))
    sent_date(data)
    own, above = references(data)
    assert own is None or b"@" in own
    assert all(b"@" in one for one in above)
    base_subject(data[:200])
    assert crlf_size(data) == len(to_crlf(data))
