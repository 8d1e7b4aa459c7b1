"""
Read the configuration: a file to L{Settings}, or everything that is wrong with it at once.

    settings = load("/etc/mailaccess.toml")

Reading goes on after a mistake: what is wrong keeps its default, and L{contradictions} looks at
the rest.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from keyword import iskeyword
from typing import Any

import attrs

from mailaccess.errors import ConfigurationErrors

from .contradictions import contradictions
from .kinds import Words, WrongValue, nearest
from .options import REQUIRED, Declared, Section, sections
from .problems import Document
from .settings import ListenerSettings, Settings
from .toml_lines import Path, key_lines


def load(path: str) -> Settings:
    """
    The settings in a file.

    @raise ConfigurationErrors: all that is wrong with it; files it names are not looked at
    """
    return parse(read_text(path), path)


def read_text(path: str) -> str:
    """
    What is in a file.

    @raise ConfigurationErrors: it cannot be read
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except OSError as error:
        raise ConfigurationErrors(
            [f"{path}: {error.strerror}; name a file that can be read"]
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationErrors([f"{path}: is not UTF-8; save it as UTF-8"]) from None


def parse(text: str, name: str = "configuration") -> Settings:
    """
    The settings in a text; C{name} stands for the file in messages.

    @raise ConfigurationErrors: all that is wrong with it
    """
    document, settings = read(text, name)
    if document.problems:
        raise ConfigurationErrors(document.problems)
    return settings


POLICY = frozenset({"listener", "rule"})
"""Tables that a shadow policy has of its own, or not at all."""


def read(text: str, name: str, live: Settings | None = None) -> tuple[Document, Settings]:
    """
    As L{parse}, but what is wrong is kept in the document, and the settings are as good as they
    can be.

    @param live: of a shadow policy, the settings that serve: tables that are not in the text are
        taken from there, except those of L{POLICY}
    @raise ConfigurationErrors: it is not TOML
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationErrors([_not_toml(name, str(error))]) from None
    except RecursionError:
        raise ConfigurationErrors([f"{name}: too many brackets inside one another"]) from None
    borrowed = frozenset() if live is None else frozenset(attrs.fields_dict(Settings)) - {*data}
    lines = key_lines(text.replace("\r\n", "\n"))
    document = Document(name, data, lines, borrowed=borrowed - POLICY)
    settings = _read_all(document, live)
    if live is not None:
        settings = attrs.evolve(settings, listener=tuple(_as_served(document, settings, live)))
    contradictions(document, settings)
    document.sort()
    return document, settings


def _as_served(
    document: Document, settings: Settings, live: Settings
) -> Iterator[ListenerSettings]:
    """
    The listeners of a shadow policy: they listen nowhere, so where they would is as it is.
    """
    served = {each.label: each for each in live.listeners}
    for position, each in enumerate(settings.listener):
        there = served.get(each.label) if each.protocol else None
        if there is None:
            yield each
            continue
        # A listener without TLS that refuses everybody is a mistake where it listens; here it is
        # what may be tried out.
        said = document.value(("listener", position, "tls")) is not None
        said = said or (there.tls == "none" and bool(settings.tls.certificate))
        yield attrs.evolve(
            each,
            address=there.address,
            port=there.port,
            socket_mode=there.socket_mode,
            socket_group=there.socket_group,
            tls=each.tls if said else there.tls,
        )


def _not_toml(name: str, message: str) -> str:
    where = re.search(r"\(at line (\d+), column (\d+)\)", message)
    line = f":{where[1]}" if where else ""
    column = f" in column {where[2]}" if where else ""
    what = message.partition(" (at ")[0]
    return f"{name}{line}: {what}{column}; correct the TOML"


def _read_all(document: Document, live: Settings | None) -> Settings:
    known = {each.name: each for each in sections(Settings)}
    _unknown(document, (), document.data, known)
    found: dict[str, Any] = {}
    for each in known.values():
        value = document.data.get(each.name)
        if live is not None and value is None and each.name not in POLICY:
            found[each.name] = getattr(live, each.name)
        elif each.many:
            found[each.name] = _array_of_tables(document, each, value)
        else:
            found[each.name] = _one_table(document, each, (each.name,), value)
    return Settings(**found)


def _array_of_tables(document: Document, section: Section, value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        document.wrong((section.name,), f"is not an array of tables; write {section.header}")
        return ()
    return tuple(
        _one_table(document, _variant(section, each), (section.name, position), each)
        for position, each in enumerate(value)
    )


def _variant(section: Section, value: Any) -> Section:
    return section.variant(value.get("type")) if isinstance(value, dict) else section


def _one_table(document: Document, section: Section, path: Path, value: Any) -> Any:
    if value is not None and not isinstance(value, dict):
        document.wrong(path, f"is not a table; write {section.header}")
        value = None
    table: Mapping[str, Any] = value or {}
    options = section.options
    _unknown(document, path, table, options)
    found: dict[str, Any] = {}
    for name, declared in options.items():
        if name in table:
            _read_option(document, (*path, name), declared, table[name], found)
        if declared.default is REQUIRED and name not in found:
            # Whatever is wrong with it has been said, or is said here.
            found[name] = () if isinstance(declared.kind, Words) else ""
        if declared.default is REQUIRED and name not in table:
            title = declared.kind.title.replace("`", "")
            document.wrong(path, f"has no {name}; add {name} ({title})")
    if "source" in attrs.fields_dict(section.settings):
        found["source"] = document.place(path)
    return section.settings(
        **{name + "_" if iskeyword(name) else name: value for name, value in found.items()}
    )


def _read_option(
    document: Document, path: Path, declared: Declared, value: Any, found: dict[str, Any]
) -> None:
    if declared.secret:
        document.secret.add(path)
    try:
        found[declared.name] = declared.kind.read(value)
    except WrongValue as error:
        document.wrong(path, str(error))


def _unknown(
    document: Document, path: Path, table: Mapping[str, Any], known: Collection[str]
) -> None:
    for name in table:
        if name not in known:
            what = "is no option" if path else "is no table or option"
            document.wrong((*path, name), f"{what} here; {nearest(name, known)}")
