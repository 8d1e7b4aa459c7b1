"""
LIST patterns mean the right names, in time that no pattern can blow up.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailaccess.errors import BadSyntax
from mailaccess.wire import pattern as module
from mailaccess.wire.pattern import ListPattern


@pytest.mark.parametrize(
    ("reference", "pattern", "name", "expected"),
    [
        ("", "*", "a/b/c", True),
        ("", "%", "a", True),
        ("", "%", "a/b", False),
        ("", "%/%", "a/b", True),
        ("", "%/%", "a", False),
        ("", "a/%", "a/b", True),
        ("", "a/%", "a/", True),
        ("", "a%", "a", True),
        ("", "a", "a", True),
        ("", "a", "A", False),
        ("", "a", "ab", False),
        ("", "", "a", False),
        ("", "a*b", "a/x/b", True),
        ("", "a*b", "ab", True),
        ("", "a*b", "a/x/c", False),
        ("", "ab*ba", "aba", False),
        ("", "*a*ab", "xab", False),
        ("", "%*", "a/b", True),
        ("", "*%", "a/b", True),
        ("", "*a%", "x/ab", True),
        ("", "*a%", "a/b", False),
        ("", "%/x*", "a/x/y", True),
        ("", "%/x*", "a/b/x", False),
        ("a/", "%", "a/b", True),
        ("a/", "%", "b", False),
        ("", "a.c", "abc", False),
        ("", "a[b", "a[b", True),
        ("", "ä%", "äb", True),
    ],
)
def test_what_patterns_mean(reference: str, pattern: str, name: str, expected: bool) -> None:
    """RFC 3501 section 6.3.8."""
    assert ListPattern(reference, pattern).matches(name) is expected


@pytest.mark.parametrize("pattern", ["inbox", "iNb%", "*x", "i*", "INBOX", "%"])
def test_inbox_is_matched_in_any_case(pattern: str) -> None:
    assert ListPattern("", pattern).matches("INBOX")


@pytest.mark.parametrize("pattern", ["inbo", "\u0131nbox", "inbox/%"])
def test_what_is_not_inbox(pattern: str) -> None:
    assert not ListPattern("", pattern).matches("INBOX")


def test_only_inbox_has_no_case() -> None:
    assert not ListPattern("", "sent").matches("Sent")
    assert not ListPattern("", "x/inbox").matches("x/INBOX")


def test_another_delimiter_is_another_level() -> None:
    assert ListPattern("", "%", ".").matches("a/b")
    assert not ListPattern("", "%", ".").matches("a.b")
    assert not ListPattern("", "*x%", ".").matches("x.b")


def test_wildcards_side_by_side_are_one_and_fifty_are_enough() -> None:
    """PAR-08."""
    assert ListPattern("", "*" * 5000).text == "*"
    assert ListPattern("", "%" * 5000).text == "%"
    assert ListPattern("*%", "%*%").text == "*"
    assert ListPattern("", "*a" * 50).matches("a" * 50)
    for pattern in ("*a" * 51, "%a" * 51, "*a%b" * 26):
        with pytest.raises(BadSyntax):
            ListPattern("", pattern)


TEXT = st.text("ab/*%", max_size=12)


@given(TEXT, TEXT, st.text("ab/", max_size=12))
def test_patterns_agree_with_regular_expressions(reference: str, pattern: str, name: str) -> None:
    """Against the slow and plain meaning."""
    plain = "".join({"*": ".*", "%": "[^/]*"}.get(c, re.escape(c)) for c in reference + pattern)
    assert ListPattern(reference, pattern).matches(name) is bool(re.fullmatch(plain, name))


class Counted(str):
    """
    Counts how often it is searched, and how many characters it gives one by one.
    """

    steps = 0

    def find(self, *args: object) -> int:  # type: ignore[override]
        Counted.steps += 1
        return super().find(*args)  # type: ignore[arg-type]

    def __iter__(self):  # type: ignore[no-untyped-def]
        for character in str.__str__(self):
            Counted.steps += 1
            yield character


def test_hostile_patterns_cost_one_pass() -> None:
    """PAR-08: one search for each part of *a*a...*b, one step for each character of a mixed one."""
    name = "a" * 499 + "c"
    Counted.steps = 0
    assert not ListPattern("", "*a" * 25 + "*b").matches(Counted(name))
    assert Counted.steps <= 26
    assert ListPattern("", "*a" * 25 + "*").matches(Counted(name))
    assert Counted.steps <= 52
    Counted.steps = 0
    assert not ListPattern("", "*a%a" * 12 + "*a").matches(Counted(name))
    assert 0 < Counted.steps <= 500


def test_patterns_are_not_regular_expressions() -> None:
    """PAR-08: nothing that goes back is used to match."""
    assert not any(isinstance(v, re.Pattern) for k, v in vars(module).items() if k != "_RUN")
