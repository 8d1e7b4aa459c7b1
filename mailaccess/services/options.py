"""
How one option of the configuration is declared, read and documented.

An option is a field of an attrs class in L{mailaccess.services.settings}, made with L{option}:
kind, default and text stand in one place. L{mailaccess.services.config} reads files by these
declarations and L{reference} renders them as Markdown for C{docs/reference}.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import attrs

from .kinds import Kind

REQUIRED: Any = object()
"""Default of an option that has to be given."""

_METADATA = "mailaccess.option"


@attrs.frozen
class Declared:
    """
    One option.

    @ivar default: the value, after reading, of an option that is not given; or L{REQUIRED}
    @ivar secret: its value is not to be shown in messages
    """

    name: str
    kind: Kind
    default: Any
    doc: str
    secret: bool = False


@attrs.frozen
class Section:
    """
    One table of the file.

    @ivar many: an array of tables (C{[[name]]})
    @ivar variants: other classes for tables whose option C{type} says so
    """

    name: str
    settings: type[Any]
    many: bool
    variants: Mapping[str, type[Any]] = {}

    @property
    def options(self) -> dict[str, Declared]:
        """
        What may stand in it, by name, in the order of declaration.
        """
        return {each.name: each for each in declared(self.settings)}

    def variant(self, kind: object) -> Section:
        """
        The section as it is for tables of one C{type}; itself for those it does not know.
        """
        found = self.variants.get(kind) if isinstance(kind, str) else None
        return self if found is None else Section(self.name, found, self.many)

    @property
    def header(self) -> str:
        """
        As it is written in the file.
        """
        return f"[[{self.name}]]" if self.many else f"[{self.name}]"


def option(kind: Kind, default: Any, doc: str, *, secret: bool = False) -> Any:
    """
    A field of a settings class that is read from the file, or given in Python in the same form.
    C{default} is written as in the file.
    """
    metadata = {_METADATA: (kind, default, doc, secret)}
    value = attrs.NOTHING if default is REQUIRED else default

    def read(given: Any) -> Any:
        # What is empty is what stands for an option that could not be read.
        return given if given in (None, "", ()) else kind.read(given)

    return attrs.field(default=value, converter=read, repr=not secret, metadata=metadata)


def section(
    settings: type[Any], *, many: bool = False, variants: Mapping[str, type[Any]] | None = None
) -> Any:
    """
    A field of the whole configuration that is one table of the file, or an array of tables.
    """
    factory: Callable[[], Any] = tuple if many else settings
    metadata = {_METADATA: (settings, many, variants or {})}
    return attrs.field(factory=factory, metadata=metadata)


def declared(settings: type[Any]) -> Iterator[Declared]:
    """
    The options of one settings class.
    """
    for each in attrs.fields(settings):
        if _METADATA in each.metadata:
            kind, default, doc, secret = each.metadata[_METADATA]
            # A word of Python's own has an underscore behind it there.
            yield Declared(each.name.rstrip("_"), kind, default, doc, secret)


def sections(configuration: type[Any]) -> Iterator[Section]:
    """
    The tables of the file.
    """
    for each in attrs.fields(configuration):
        if _METADATA in each.metadata:
            settings, many, variants = each.metadata[_METADATA]
            yield Section(each.name, settings, many, variants)


def reference(configuration: type[Any], only: Collection[str] = ()) -> str:
    """
    All options as Markdown: for each table of the file a heading, its meaning and its options.

    @param only: names of tables; all if empty
    """
    parts: list[str] = []
    for each in sections(configuration):
        if only and each.name not in only:
            continue
        parts += _table(each, f"`{each.header}`")
        for kind in each.variants:
            parts += _table(each.variant(kind), f'`{each.header}` with `type = "{kind}"`')
    return "\n".join(parts)


def _table(section: Section, title: str) -> list[str]:
    rows = [
        f"| `{it.name}` | {it.kind.title} | {_shown(it.default)} | {_cell(it.doc)} |"
        for it in section.options.values()
    ]
    head = [f"### {title}", "", _prose(section.settings), ""]
    return [*head, "| option | value | default | meaning |", "|---|---|---|---|", *rows, ""]


def _shown(default: Any) -> str:
    if default is REQUIRED:
        return "required"
    if default is None or default in ("", [], {}):
        return ""
    return f"`{toml(default)}`"


def toml(value: object) -> str:
    """
    A value as a TOML file writes it, on one line.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + re.sub(r'["\\\x00-\x1f\x7f]', _escape, value) + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(each) for each in value) + "]"
    if isinstance(value, dict):
        return "{...}"
    return str(value)


def _escape(match: re.Match[str]) -> str:
    it = match.group()
    return "\\" + it if it in '"\\' else f"\\u{ord(it):04x}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _prose(settings: type[Any]) -> str:
    return re.sub(r"[A-Z]\{([^}]*)\}", r"`\1`", _cell(inspect.getdoc(settings) or ""))
