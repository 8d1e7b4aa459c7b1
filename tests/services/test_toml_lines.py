"""
The line finder against C{tomllib}: the same keys, on the right lines.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailaccess.services.toml_lines import key_lines

TRICKY = '''# "a comment with = and [brackets]"
top = 1
"quoted.key" . inner = "x" # not = 2
'single "quoted"' = 0

[ table . "with \\u00e9" ]
text = """
[not.a.table]
x = 1
\\"""
"""""
after = 2
raw = \'\'\'
'' y = 2
[[z]]\'\'\'\'\'
list = [ # [a comment]
  1.5, 2, "]", '#',
  { p = 1, q.r = [ 1, [2,
 3]] },
  {},
]
[[many]]
when = 1979-05-27 07:32:00
[many.below]
k = true
[[many]]
n = 2
[[many.deep]]
k = 1
[[many.deep]]
k = 2
[many.below]
k = false
'''

EXPECTED = {
    ("top",): 2,
    ("quoted.key",): 3,
    ("quoted.key", "inner"): 3,
    ('single "quoted"',): 4,
    ("table",): 6,
    ("table", "with é"): 6,
    ("table", "with é", "text"): 7,
    ("table", "with é", "after"): 12,
    ("table", "with é", "raw"): 13,
    ("table", "with é", "list"): 16,
    ("table", "with é", "list", 0): 17,
    ("table", "with é", "list", 3): 17,
    ("table", "with é", "list", 4): 18,
    ("table", "with é", "list", 4, "p"): 18,
    ("table", "with é", "list", 4, "q", "r", 1, 0): 18,
    ("table", "with é", "list", 4, "q", "r", 1, 1): 19,
    ("table", "with é", "list", 5): 20,
    ("many",): 22,
    ("many", 0): 22,
    ("many", 0, "when"): 23,
    ("many", 0, "below"): 24,
    ("many", 0, "below", "k"): 25,
    ("many", 1): 26,
    ("many", 1, "deep", 0): 28,
    ("many", 1, "deep", 1, "k"): 31,
    ("many", 1, "below"): 32,
}


def paths(data: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """
    All keys and array elements of parsed data.
    """
    found: set[tuple[str | int, ...]] = {path} if path else set()
    if isinstance(data, dict):
        for name, value in data.items():
            found |= paths(value, (*path, name))
    elif isinstance(data, list):
        for number, value in enumerate(data):
            found |= paths(value, (*path, number))
    return found


def test_keys_of_a_tricky_file_are_on_their_lines() -> None:
    lines = key_lines(TRICKY)
    assert {path: lines.get(path) for path in EXPECTED} == EXPECTED


def test_the_same_keys_are_found_as_by_tomllib() -> None:
    assert set(key_lines(TRICKY)) == paths(tomllib.loads(TRICKY))


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# only a comment", "a = 1", "[a]", "[[a]]\n[[a]]", 'a = """"""', "a = ''"]
)
def test_small_files(text: str) -> None:
    assert set(key_lines(text)) == paths(tomllib.loads(text))


def test_deep_nesting_needs_no_stack() -> None:
    """PAR: no recursion over input."""
    depth = 50_000
    assert key_lines("a = " + "[" * depth + "]" * depth + "\nb = 1")[("b",)] == 2


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5000 + "]" * 5000,
        "a = " + "{a = " * 5000 + "1" + "}" * 5000,
        ".".join("a" * 5000) + " = 1",
        "[" + ".".join("a" * 5000) + "]",
        "[[" + ".".join("a" * 5000) + "]]",
    ],
    ids=lambda text: text[:6],
)
def test_deep_paths_are_not_kept(text: str) -> None:
    """Each would hold all that it lies in: time and memory would grow with the square."""
    found = key_lines(text + "\n[b]\nc = 1")
    assert found["b", "c"] == 3
    assert sum(map(len, found)) < 1000


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=6)
scalars = st.one_of(
    st.integers(-1000, 1000).map(str),
    st.sampled_from(
        ["1.5", "true", "1979-05-27 07:32:00", "inf", "'# [x] = {'", '"""\n\\"""\n"""']
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8).map(
        json.dumps
    ),
    st.sampled_from(["'''\na = 1\n'''", "'''x'''''", '"""x"""""', '""""""']),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda it: "[\n" + " , # ]\n".join(it) + "\n]"),
        st.dictionaries(names.map(json.dumps), inner, max_size=3).map(
            lambda it: "{" + ", ".join(f"{key} = {value}" for key, value in it.items()) + "}"
        ),
    ),
    max_leaves=6,
)
tables = st.lists(st.tuples(names, values), max_size=4, unique_by=lambda it: it[0])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(names, st.booleans(), tables), max_size=5))
def test_whatever_tomllib_reads_is_found_on_a_line_with_its_name(
    given_tables: list[tuple[str, bool, list[tuple[str, str]]]],
) -> None:
    text = ""
    for name, many, rows in given_tables:
        key = json.dumps(name)
        text += f"[[{key}]]\n" if many else f"[ {key} ] # x\n"
        text += "".join(f"{json.dumps(each)} = {value}\n" for each, value in rows)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    lines = key_lines(text)
    assert set(lines) == paths(data)
    written = text.split("\n")
    for path, line in lines.items():
        if isinstance(path[-1], str):
            assert json.dumps(path[-1]) in written[line - 1]
