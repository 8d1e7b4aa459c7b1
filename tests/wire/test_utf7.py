"""
Modified UTF-7: one name, one encoding.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailaccess.errors import BadSyntax
from mailaccess.wire import utf7

PAIRS = [
    ("", b""),
    ("INBOX", b"INBOX"),
    ("&", b"&-"),
    ("R&D", b"R&-D"),
    ("é", b"&AOk-"),
    ("été", b"&AOk-t&AOk-"),
    ("é&é", b"&AOk-&-&AOk-"),
    ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
    ("😀", b"&2D3eAA-"),
    ("Entwürfe", b"Entw&APw-rfe"),
    ("\x7f", b"&AH8-"),
]


@pytest.mark.parametrize(("name", "wire"), PAIRS)
def test_names_and_their_encodings(name: str, wire: bytes) -> None:
    """PAR-11; the long one is the example of RFC 3501 section 5.1.3."""
    assert utf7.encode(name) == wire
    assert utf7.decode(wire) == name


@pytest.mark.parametrize(
    "wire",
    [
        b"&",  # not ended
        b"a&AOk",
        b"&AOk-&",
        b"&AOk t-",
        b"&AGE-",  # an a, which needs no encoding
        b"&ACY-",  # an ampersand
        b"&AGEA6Q-",  # an a before an e with acute
        b"&AOkA6Q-&AOk-",  # two shifts in a row
        b"&AOk-&AOk-",
        b"&AOl-",  # unused bits that are not zero
        b"&AOm-",
        b"&AOkA-",  # half a code unit
        b"&A-",
        b"&AA-",
        b"&2D0-",  # half a surrogate pair
        b"&3gA-",
        b"&3gDYPQ-",  # the halves the wrong way round
        b"&AOk=-",  # padding
        b"&U/BTFw-",  # the slash of plain base64
        b"\xc3\xa9",
        b"a\x00",
        b"a\x7f",
        b"a\r\n",
        b"&AO\xff-",
    ],
)
def test_what_is_not_canonical_is_refused(wire: bytes) -> None:
    """PAR-11."""
    with pytest.raises(BadSyntax):
        utf7.decode(wire)


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("é" * 3 + "&" + "😀")
def test_every_name_reads_back(name: str) -> None:
    assert utf7.decode(utf7.encode(name)) == name


PIECES = st.lists(
    st.sampled_from([b"&", b"-", b"AOk", b"A", b"a", b"2D3eAA", b"2D0", b",", b"&-", b"&AOk-"])
).map(b"".join)


@given(st.one_of(PIECES, st.binary(max_size=12)))
def test_no_two_encodings_mean_one_name(wire: bytes) -> None:
    """PAR-11: whatever is decoded at all is what the encoder would have written."""
    try:
        name = utf7.decode(wire)
    except BadSyntax:
        return
    assert utf7.encode(name) == wire


def test_nothing_is_loaded_later() -> None:
    """PATH-05: by then the process is somebody who may not read what Python is in."""
    code = "import sys, mailaccess.wire.utf7; sys.exit('encodings.utf_16_be' not in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
