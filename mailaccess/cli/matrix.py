"""
C{mailaccess matrix FILE}: the whole policy as a table.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from html import escape
from typing import Any

from mailaccess.policy.tls import Decision
from mailaccess.services.matrix import Cell, Table, audiences, matrix

from .command import Command, Failed
from .explain import rehearse, say_unknown

_STYLE = (
    "body{font-family:sans-serif}table{border-collapse:collapse;margin:1em 0}"
    "td,th{border:1px solid #999;padding:.2em .6em;text-align:left}"
    ".allow{background:#dfd}.report{background:#ffd}.refuse{background:#fdd}"
)


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", help="the configuration file")
    parser.add_argument("--html", metavar="PAGE", help="write a page instead")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _run(chosen: Namespace) -> int:
    rehearsal = rehearse(chosen.file)
    table = matrix(rehearsal, audiences(rehearsal))
    say_unknown(rehearsal)
    if chosen.html:
        try:
            with open(chosen.html, "w", encoding="utf-8") as file:
                file.write(as_html(table))
        except OSError as error:
            raise Failed(f"{chosen.html}: {error.strerror}") from None
    if chosen.json:
        print(json.dumps({"cells": as_json(table)}, indent=1, ensure_ascii=False))
    elif not chosen.html:
        print("\n".join(as_text(table)))
    return 0


def as_json(table: Table) -> list[dict[str, Any]]:
    """
    One object per decision. The keys are stable.
    """
    return [
        {
            "listener": cell.listener,
            "connection": cell.connection,
            "users": cell.audience,
            "mechanism": cell.mechanism,
            "verdict": decision.verdict.value,
            "rule": decision.rule,
            "source": decision.source,
        }
        for cell, decision in table.items()
    ]


def _listeners(table: Table) -> Iterator[tuple[str, list[str], list[tuple[str, str]]]]:
    """
    Per listener its name, mechanisms, and rows: users and connection.
    """
    for name in dict.fromkeys(cell.listener for cell in table):
        here = [cell for cell in table if cell.listener == name]
        kinds = dict.fromkeys(cell.connection for cell in here)
        there = {(cell.audience, cell.connection) for cell in here}
        rows = [
            (audience, kind)
            for audience in dict.fromkeys(cell.audience for cell in here)
            for kind in kinds
            if (audience, kind) in there
        ]
        yield name, list(dict.fromkeys(cell.mechanism for cell in here)), rows


def as_text(table: Table) -> Iterator[str]:
    """
    A table per listener.
    """
    for name, mechanisms, rows in _listeners(table):
        users = max(len(each[0]) for each in rows)
        kind = max(len(each[1]) for each in rows)
        widths = [max(len(each), 6) for each in mechanisms]
        head = "  ".join(f"{each:{width}}" for each, width in zip(mechanisms, widths, strict=True))
        yield f"listener {name}"
        yield f"  {'':{users}}  {'':{kind}}  {head}".rstrip()
        before = ""
        for row in rows:
            found = [table[Cell(name, row[1], row[0], each)] for each in mechanisms]
            words = "  ".join(
                f"{each.verdict.value:{width}}" for each, width in zip(found, widths, strict=True)
            )
            shown = row[0] if row[0] != before else ""
            yield f"  {shown:{users}}  {row[1]:{kind}}  {words}".rstrip()
            before = row[0]
        yield ""


def as_html(table: Table) -> str:
    """
    The same as a page; the rule and where it is written are shown at each cell.
    """
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Who may log in how</title>",
        f"<style>{_STYLE}</style><h1>Who may log in how</h1>",
    ]
    for name, mechanisms, rows in _listeners(table):
        head = "".join(f"<th>{escape(each)}</th>" for each in mechanisms)
        parts.append(
            f"<h2>{escape(name)}</h2><table><tr><th>users</th><th>connection</th>{head}</tr>"
        )
        for audience, connection in rows:
            cells = "".join(
                _td(table[Cell(name, connection, audience, each)]) for each in mechanisms
            )
            who = f"<td>{escape(audience)}</td><td>{escape(connection)}</td>"
            parts.append(f"<tr>{who}{cells}</tr>")
        parts.append("</table>")
    return "\n".join([*parts, "</html>", ""])


def _td(decision: Decision) -> str:
    word = decision.verdict.value
    why = escape(f"{decision.rule} ({decision.source})", quote=True)
    return f'<td class={word} title="{why}">{word}</td>'


command = Command(
    "matrix",
    "print the whole policy as a table",
    "Print what the policy decides for every listener, kind of connection, mechanism and kind of"
    " users: everybody else, those of each rule, and users whose records say something.",
    _arguments,
    _run,
)
