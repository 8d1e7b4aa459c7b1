"""
The tables of the documentation, made from the code: C{conf.py} calls L{write} at every build.

Each function of L{PAGES} gives the Markdown of one file in C{docs/_build/generated}, which a page
of C{docs/reference} includes.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mailaccess.auth.sasl import MECHANISMS
from mailaccess.cli import commands as subcommands
from mailaccess.policy.mechanism import APOP, LOGIN_COMMAND, USER_PASS, Needs
from mailaccess.protocols.imap import commands as imap_commands
from mailaccess.protocols.imap.registry import Extension
from mailaccess.protocols.pop3 import factory as pop3_factory
from mailaccess.protocols.pop3.registry import State, table
from mailaccess.services.options import reference
from mailaccess.services.settings import Settings
from mailaccess.services.tap import Options

assert pop3_factory  # importing it fills the table of commands

HERE = Path(__file__).parent
ROOT = HERE.parent

_RFC = re.compile(r"\bRFC\s+([0-9]{3,5})(?:,?\s+sections?\s+([0-9A-Z][0-9.]*[0-9]|[0-9A-Z]))?")
_TITLES = tomllib.loads((HERE / "rfc.toml").read_text("utf-8"))
_MEANINGS = tomllib.loads((HERE / "requirements.toml").read_text("utf-8"))
_ID = re.compile(r"\b(?:TLS|POL|SASL|CODE|AUTH|PAR|MIME|PATH|DS|AB|LD)-[0-9]{2}\b")


# ---- small things ------------------------------------------------------------------------------


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """
    A table.
    """
    lines = ["| " + " | ".join(head) + " |"]
    lines.append("|" + "---|" * lines[0].count(" | ") + "---|")
    lines += ["| " + " | ".join(each.replace("|", "\\|") for each in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def code(words: Iterable[bytes | str]) -> str:
    """
    Words as C{`a` `b`}.
    """
    return " ".join(f"`{each.decode() if isinstance(each, bytes) else each}`" for each in words)


def linked_rfcs(*texts: str | None) -> str:
    """
    The RFCs that texts name, each once, as links.
    """
    numbers = {int(hit[1]) for text in texts if text for hit in _RFC.finditer(text)}
    return ", ".join(rfc_link(each) for each in sorted(numbers))


def rfc_link(number: int) -> str:
    """
    A link to the text of an RFC.
    """
    return f"[RFC {number}](https://www.rfc-editor.org/rfc/rfc{number})"


def modules(top: str) -> Iterator[tuple[str, ast.Module]]:
    """
    Path and syntax tree of every module below a directory of the project.
    """
    for path in sorted((ROOT / top).rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))


def texts(tree: ast.AST) -> Iterator[str]:
    """
    Every docstring of a module, those of attributes included.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield text


# ---- what is spoken ----------------------------------------------------------------------------


def module_of(extension: Extension) -> Any:
    """
    The module that an extension is.
    """
    prefix = imap_commands.__name__ + "."
    for name, module in sorted(sys.modules.items()):
        if name.startswith(prefix) and getattr(module, "extension", None) is extension:
            return module
    raise LookupError(extension.name)


def imap() -> str:
    """
    All extensions: capabilities, commands, items and sources.
    """
    rows = []
    for each in imap_commands.EXTENSIONS:
        module = module_of(each)
        doc = [module.__doc__, *(inspect.getdoc(it.handler) for it in each.commands.values())]
        items = [*each.fetch_items, *each.search_keys, *each.status_items]
        rows.append(
            (
                code(each.capabilities) or ("depends on the session" if each.words else ""),
                code(each.commands) or "no command of its own",
                code(items),
                linked_rfcs(*doc),
                f"`{module.__name__.removeprefix(imap_commands.__name__ + '.')}`",
            )
        )
    return markdown(("capability", "commands", "items and keys", "source", "module"), rows)


def pop3() -> str:
    """
    All commands with states and arguments.
    """
    rows = []
    for each in sorted(
        table.commands.values(), key=lambda it: (not it.states & State.AUTHORIZATION, it.name)
    ):
        states = [it.name.lower() for it in (State.AUTHORIZATION, State.TRANSACTION) if it.name]
        held = [name for name, bit in zip(states, (1, 2), strict=True) if each.states & bit]
        count = str(each.least) if each.least == each.most else f"{each.least} to {each.most}"
        rows.append(
            (f"`{each.name}`", ", ".join(held), count, linked_rfcs(inspect.getdoc(each.handler)))
        )
    return markdown(("command", "states", "arguments", "source"), rows)


def rfcs() -> str:
    """
    Every RFC that a docstring names, with sections and modules.
    """
    found: dict[int, tuple[set[str], set[str]]] = {}
    for path, tree in modules("mailaccess"):
        for text in texts(tree):
            for hit in _RFC.finditer(text):
                sections, places = found.setdefault(int(hit[1]), (set(), set()))
                places.add(path.removeprefix("mailaccess/"))
                if hit[2]:
                    sections.add(hit[2])
    rows = [
        (
            f"{rfc_link(number)} {_TITLES.get(str(number), '')}",
            ", ".join(sorted(sections, key=section_order)),
            code(sorted(places)),
        )
        for number, (sections, places) in sorted(found.items())
    ]
    return markdown(("RFC", "sections named", "modules"), rows)


def section_order(section: str) -> list[tuple[int, str]]:
    """
    Section 10 stands behind section 9.
    """
    return [(int(each) if each.isdecimal() else 0, each) for each in section.split(".")]


# ---- what is promised --------------------------------------------------------------------------


def cited(top: str = "tests") -> Mapping[str, list[str]]:
    """
    By requirement, the tests whose docstrings (or whose module's) cite it.
    """
    found: dict[str, list[str]] = {}
    for path, tree in modules(top):
        owners: list[tuple[str, ast.AST]] = [("", tree)]
        owners += [
            (f"::{node.name}", node)
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        ]
        for name, node in owners:
            doc = ast.get_docstring(node) or ""  # type: ignore[arg-type]
            for each in sorted(set(_ID.findall(doc))):
                found.setdefault(each, []).append(path.removeprefix("tests/") + name)
    return found


def requirements() -> str:
    """
    Every requirement: what must hold, and the tests that show it.
    """
    shown = cited()
    rows = []
    for each in sorted({*_MEANINGS, *shown}):
        tests = shown.get(each, [])
        first = ", ".join(f"`{it}`" for it in tests[:3])
        more = f" and {len(tests) - 3} more" if len(tests) > 3 else ""
        rows.append((each, _MEANINGS.get(each, ""), first + more or "none yet"))
    return markdown(("id", "what must hold", "tests"), rows)


# ---- what is typed and read --------------------------------------------------------------------


def options() -> str:
    """
    All options of the configuration file.
    """
    return reference(Settings)


def parsers() -> dict[str, argparse.ArgumentParser]:
    """
    The parser of every subcommand of C{mailaccess}.
    """
    made = {}
    for each in subcommands():
        parser = argparse.ArgumentParser(f"mailaccess {each.name}", description=each.description)
        each.add_arguments(parser)
        made[each.name] = parser
    return made


def command_line() -> str:
    """
    The help of every command.
    """
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        helps = {f"mailaccess {name}": it.format_help() for name, it in parsers().items()}
        plugin = Options()
        plugin.synopsis = f"Usage: twist mailaccess {Options.synopsis}"
        helps["twist mailaccess"] = plugin.getUsage(width=100)
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return "\n".join(f"### `{name}`\n\n```text\n{text}```\n" for name, text in helps.items())


def events() -> str:
    """
    Every event that is logged, with the keys its line has.
    """
    found: dict[str, set[str]] = {}
    for _, tree in modules("mailaccess"):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            keys = [each.arg for each in node.keywords]
            for each in node.keywords:
                if each.arg == "event":
                    names = [
                        it.value
                        for it in ast.walk(each.value)
                        if isinstance(it, ast.Constant) and isinstance(it.value, str)
                    ]
                    own = {key for key in keys if key and key not in ("event", "failure")}
                    if None in keys:
                        own |= {"listener", "method", "rip", "lip", "tls"}
                    for name in names:
                        found.setdefault(name, set()).update(own)
    return markdown(
        ("event", "keys"), [(f"`{name}`", code(sorted(found[name]))) for name in sorted(found)]
    )


def mechanisms() -> str:
    """
    Every way to log in, with what it exposes and needs.
    """
    rows = []
    ours = [*(each.mechanism for each in MECHANISMS.values()), LOGIN_COMMAND, USER_PASS, APOP]
    for each in ours:
        some = each.needs in _FOR_SOME
        default = "on" if each.default else "off"
        if each.default and some:
            default = "on if every user has them"
        rows.append((f"`{each.name}`", each.exposes.value, _NEEDED[each.needs], default))
    return markdown(("mechanism", "exposes", "needs", "default"), rows)


_FOR_SOME = frozenset({Needs.KEYS_SHA1, Needs.KEYS_SHA256})
_NEEDED = {
    Needs.PASSWORD: "a source that checks passwords",
    Needs.SECRET: "passwords that can be read back",
    Needs.KEYS_SHA1: "keys `{SCRAM-SHA-1}`",
    Needs.KEYS_SHA256: "keys `{SCRAM-SHA-256}`",
    Needs.CERTIFICATE: "a verified client certificate, and a rule for names",
    Needs.TOKEN: "a private connection, and `token_keys` or `token_introspection` in `[login]`",
    Needs.NOTHING: "`anonymous` in `[login]`",
}


PAGES: dict[str, Callable[[], str]] = {
    "options": options,
    "command-line": command_line,
    "events": events,
    "mechanisms": mechanisms,
    "imap": imap,
    "pop3": pop3,
    "rfcs": rfcs,
    "requirements": requirements,
}


def write(directory: Path) -> None:
    """
    Write all pages; a file that would be the same is left alone.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        path, text = directory / f"{name}.md", make()
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


if __name__ == "__main__":
    write(HERE / "_build" / "generated")
