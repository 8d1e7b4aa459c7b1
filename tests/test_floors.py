"""
The floors hold: every module imports from its own package and from floors below, and nothing goes
in a circle.

The checker reads sources with L{ast} and runs nothing, so that it also sees imports inside
functions and under C{if TYPE_CHECKING:}. It is tried on planted breaches, so that it is known to
see them.
"""

from __future__ import annotations

import ast
import graphlib
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).resolve().parent.parent

UNDER_ALL = -1
FLOORS = {
    "mailaccess.errors": UNDER_ALL,
    "mailaccess.interfaces": UNDER_ALL,
    "mailaccess.wire": 0,
    "mailaccess.message": 1,
    "mailaccess.policy": 1,
    "mailaccess.store": 2,
    "mailaccess.auth": 2,
    "mailaccess.protocols": 3,
    "mailaccess.services": 4,
    "mailaccess.cli": 5,
    "mailaccess.testing": 5,
    "mailaccess.__main__": 6,
    "twisted.plugins": 5,
}

IO = {
    *("OpenSSL", "apsw", "asyncio", "ldap3", "os", "pathlib", "select", "selectors", "shutil"),
    *("socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "twisted"),
}
MUST_NOT_KNOW = {
    "mailaccess.wire": IO | {"time"},
    "mailaccess.message": IO,
    "mailaccess.policy": IO,
}
"""Packages that are values and decisions alone: the top-level modules that they may not import."""

LONGEST = 500
MEDIAN = 150


@attrs.frozen
class Import:
    """
    One import of a module.

    @ivar target: dotted name as written; may end in the name of something inside a module
    @ivar typing: stands under C{if TYPE_CHECKING:}, so that it does not happen at run time
    """

    target: str
    line: int
    typing: bool


def _guards_typing(node: ast.AST) -> bool:
    if not isinstance(node, ast.If):
        return False
    test = node.test
    name = test.id if isinstance(test, ast.Name) else getattr(test, "attr", "")
    return name == "TYPE_CHECKING"


def imports_of(name: str, source: str, is_package: bool) -> Iterator[Import]:
    """
    All imports of a module, in no particular order, wherever they stand.
    """
    waiting: list[tuple[ast.AST, bool]] = [(ast.parse(source), False)]
    while waiting:
        node, typing = waiting.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, typing)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = name.split(".") if is_package else name.split(".")[:-1]
                package = package[: len(package) - (node.level - 1)]
                base = ".".join(package + ([node.module] if node.module else []))
            for alias in node.names:
                yield Import(f"{base}.{alias.name}", node.lineno, typing)
        elif isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[0] if node.args else None
            if (
                called in {"import_module", "namedAny", "namedModule", "__import__"}
                and isinstance(first, ast.Constant)
                and isinstance(first.value, str)
            ):
                yield Import(first.value, node.lineno, typing)
        if isinstance(node, ast.If) and _guards_typing(node):
            waiting.extend((child, True) for child in node.body)
            waiting.extend((child, typing) for child in node.orelse)
        else:
            waiting.extend((child, typing) for child in ast.iter_child_nodes(node))


def _package(name: str) -> str:
    """
    The key of L{FLOORS} that a dotted name belongs to.
    """
    return ".".join(name.split(".")[:2])


def _module(target: str, modules: Mapping[str, str]) -> str | None:
    """
    The module of ours that an import reaches, or None.
    """
    while target:
        if target in modules:
            return target
        target = target.rpartition(".")[0]
    return None


def breaches(modules: Mapping[str, str]) -> list[str]:
    """
    What is wrong with the imports of these modules, one line each.

    @param modules: source by dotted name; a package by its own name
    """
    found = []
    graph: dict[str, set[str]] = {}
    packages = {name.rpartition(".")[0] for name in modules}
    for name, source in modules.items():
        graph[name] = set()
        here = _package(name)
        if here not in FLOORS and name != "mailaccess":
            found.append(f"{name} stands on no floor")
            continue
        for use in imports_of(name, source, name in packages):
            where = f"{name}:{use.line}"
            if use.target.split(".")[0] in MUST_NOT_KNOW.get(here, ()):
                found.append(f"{where} imports {use.target}, which {here} must not know")
            target = _module(use.target, modules)
            if target is None or target == name:
                continue
            if not use.typing:
                graph[name].add(target)
            there = _package(target)
            if name == "mailaccess":
                found.append(f"{where} imports {target}: the top imports nothing of ours")
            elif target == "mailaccess" or (there == here and FLOORS[here] != UNDER_ALL):
                continue
            elif there not in FLOORS:
                found.append(f"{where} imports {target}, which stands on no floor")
            elif FLOORS[there] >= FLOORS[here]:
                way = "sideways" if FLOORS[there] == FLOORS[here] else "up"
                found.append(f"{where} imports {target}: {way}")
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        found.append("in a circle: " + " <- ".join(error.args[1]))
    return found


def sources() -> dict[str, str]:
    """
    Our modules, the plugin included.
    """
    found = {}
    for top in ("mailaccess", "twisted"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
            found[".".join(parts)] = path.read_text("utf-8")
    return found


def test_every_module_imports_from_its_own_package_and_from_below() -> None:
    modules = sources()
    assert "mailaccess.interfaces" in modules
    assert "mailaccess.policy.tls" in modules
    assert breaches(modules) == []


PLANTED = {
    "up": {
        "mailaccess.wire.framer": "from mailaccess.protocols.line import Line",
        "mailaccess.protocols.line": "",
    },
    "sideways": {
        "mailaccess.store.maildir": "import mailaccess.auth.chain",
        "mailaccess.auth.chain": "",
    },
    "sideways on floor 1": {
        "mailaccess.message.mime": "from mailaccess.policy import tls",
        "mailaccess.policy.tls": "",
    },
    "inside a function": {
        "mailaccess.auth.chain": "def late():\n    from mailaccess.services import tap",
        "mailaccess.services.tap": "",
    },
    "for typing only": {
        "mailaccess.policy.tls": (
            "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from mailaccess.store.query import Query"
        ),
        "mailaccess.store.query": "",
    },
    "relative": {
        "mailaccess.wire": "",
        "mailaccess.wire.writer": "from ..message.mime import scan",
        "mailaccess.message.mime": "",
    },
    "by name": {
        "mailaccess.store.index": "import_module('mailaccess.cli.main')",
        "mailaccess.cli.main": "",
    },
    "errors know something of ours": {
        "mailaccess.errors": "from mailaccess import interfaces",
        "mailaccess.interfaces": "",
    },
    "twisted in wire": {"mailaccess.wire.framer": "from twisted.internet import defer"},
    "clock in wire": {"mailaccess.wire.framer": "import time"},
    "socket in policy": {"mailaccess.policy.link": "def peer():\n    import socket"},
    "no floor": {"mailaccess.utils": ""},
    "circle in one package": {
        "mailaccess.store.a": "from mailaccess.store.b import x",
        "mailaccess.store.b": "def f():\n    from mailaccess.store import c",
        "mailaccess.store.c": "import mailaccess.store.a",
    },
    "circle through the package itself": {
        "mailaccess.auth": "from mailaccess.auth.chain import Chain",
        "mailaccess.auth.chain": "from mailaccess.auth import Chain",
    },
    "testing used by the product": {
        "mailaccess.services.realm": "from mailaccess.testing import fakes",
        "mailaccess.testing.fakes": "",
    },
}


@pytest.mark.parametrize("breach", PLANTED)
def test_a_planted_breach_is_found(breach: str) -> None:
    assert len(breaches(PLANTED[breach])) == 1


def test_what_is_permitted_is_not_reported() -> None:
    assert not breaches(
        {
            "mailaccess": "__version__ = '1'",
            "mailaccess.errors": "from twisted.cred.error import LoginDenied",
            "mailaccess.interfaces": "",
            "mailaccess.wire.framer": "from mailaccess.errors import BadSyntax\nimport re",
            "mailaccess.policy": "from mailaccess.policy.tls import TLSPolicy",
            "mailaccess.policy.link": "import ipaddress",
            "mailaccess.policy.tls": "from .link import Link",
            "mailaccess.auth.a": (
                "from typing import TYPE_CHECKING\n"
                "from mailaccess.policy import TLSPolicy\n"
                "if TYPE_CHECKING:\n    from mailaccess.auth.b import B"
            ),
            "mailaccess.auth.b": "from mailaccess.auth.a import A",
            "mailaccess.protocols.imap": "from mailaccess import __version__, errors",
            "mailaccess.services.tap": "from mailaccess.protocols import imap",
            "twisted.plugins.ours": "from mailaccess.services import tap",
        }
    )


def test_modules_are_short() -> None:
    """
    The median has at most 150 lines and none over 500; empty packages do not count.
    """
    lengths = {
        name: len(source.splitlines())
        for name, source in sources().items()
        if len(ast.parse(source).body) > 1
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}
    assert statistics.median(lengths.values()) <= MEDIAN
