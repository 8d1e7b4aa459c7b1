"""
What commands have in common that print what a server has kept: where from, since when, and in which
form.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import textwrap
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from datetime import time as clock
from typing import Any

from mailaccess.services.audit.database import Database, NotUsable
from mailaccess.services.audit.facts import SCHEMA
from mailaccess.services.config import load
from mailaccess.services.kinds import Duration, WrongValue
from mailaccess.services.settings import Settings

from .command import Failed

WIDTH = 100
WIDEST = 40
"""Characters of one cell of a table; the last one has no bound."""

_FORMULA = re.compile("(^|;)(?=[=+\\-@\t\r\uff0b\uff0d\uff1d\uff20])")
"""What begins a formula, also in full width, and behind what separates cells in many countries."""


def since_argument(text: str) -> int:
    """
    C{30d} or C{2026-11-01}, as seconds since 1970.
    """
    try:
        return int(datetime.combine(date.fromisoformat(text), clock(), UTC).timestamp())
    except ValueError:
        pass
    try:
        return int(time.time()) - int(Duration().read(text))
    except WrongValue:
        raise ArgumentTypeError(f"{text!r} is neither like 30d nor like 2026-11-01") from None


def add_arguments(parser: ArgumentParser) -> None:
    """
    The arguments that all of them take.
    """
    parser.add_argument("file", help="the configuration file")
    parser.add_argument(
        "--since",
        type=since_argument,
        default=0,
        metavar="WHEN",
        help="only what came since: 30d, 12h, or a day like 2026-11-01; all that is kept if none",
    )
    parser.add_argument("-u", "--user", default="", help="only this user")
    parser.add_argument("-l", "--listener", default="", help="only this listener")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--csv", action="store_true", help="print CSV")
    forms.add_argument("--json", action="store_true", help="print JSON")


def opened(chosen: Namespace, *, writes: bool = False) -> tuple[Settings, Database]:
    """
    The configuration, and the database that it names.

    @raise Failed: there is none
    @raise mailaccess.errors.ConfigurationErrors: all that is wrong with the configuration
    """
    settings = load(chosen.file)
    path = settings.audit.database
    if not path:
        raise Failed(f"{chosen.file}: keeps nothing; add database to [audit]")
    try:
        return settings, Database(path)
    except NotUsable as error:
        raise Failed(str(error)) from None


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """
    Lines with columns below one another; the last one as long as it is.
    """
    texts = [list(head), *([*map(_cell, row[:-1]), str(row[-1])] for row in rows)]
    widths = [max(len(row[at]) for row in texts) for at in range(len(head))]
    return [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in texts
    ]


def _cell(value: object) -> str:
    text = str(value) if value != "" else "-"
    return text if len(text) <= WIDEST else text[: WIDEST - 3] + "..."


def names_lines(before: str, names: Iterable[str]) -> list[str]:
    """
    Names, as many to a line as there is room for.
    """
    text = f"{before} {', '.join(names)}"
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def print_csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """
    CSV (RFC 4180). Where something could be taken for a formula by a spreadsheet, an apostrophe
    stands before it: names and clients are what strangers sent.
    """
    writer = csv.writer(sys.stdout)
    writer.writerow(head)
    writer.writerows([_harmless(each) for each in row] for row in rows)


def _harmless(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _FORMULA.sub(r"\1'", value) if isinstance(value, str) else value


def print_json(**more: Any) -> None:
    """
    One object, with the version of its keys.
    """
    print(json.dumps({"schema": SCHEMA, **more}, indent=1, ensure_ascii=False))


def lost_lines(lost: dict[str, int]) -> list[str]:
    """
    What is missing, in words.
    """
    words = {
        "dropped": "came faster than they could be written",
        "rows": "were forgotten because there were more than [audit] rows",
    }
    return [f"{count} rows {words.get(why, why)}" for why, count in sorted(lost.items())]
