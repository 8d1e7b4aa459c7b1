"""
Names of users inside filters and DNs: data, whatever is in them (LD-03).

A template has C{{user}} for the whole name, C{{local}} for what stands before the last @, and
C{{domain}} for what stands behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn, parse_dn, to_dn

_PLACE = re.compile(r"\{(\w*)\}")
_PLACES = frozenset({"user", "local", "domain"})
_NOT_IN_A_BIND_NAME = re.compile(r'[\\/"\[\]:;|=,+*?<>\x00-\x1f]')


class CannotName(ValueError):
    """
    No entry can have this name.
    """


def check_template(template: str) -> None:
    """
    @raise ValueError: unknown placeholders, or none that tells users apart
    """
    found = set(_PLACE.findall(template))
    wrong = sorted(found - _PLACES)
    if wrong:
        raise ValueError(f"knows no {{{wrong[0]}}}; use {{user}}, {{local}} or {{domain}}")
    if not found & {"user", "local"}:
        raise ValueError("is the same for every user; put {user} or {local} into it")


def search_filter(template: str, name: str) -> str:
    """
    The filter for a name.
    """
    return _filled(template, name, lambda text: str(escape_filter_chars(text)))


def bind_name(template: str, name: str) -> str:
    """
    What to bind as: a DN, or another form that the directory knows, such as C{amy@corp.example}.

    @raise CannotName: it would not be the name of one user
    """
    return _filled(template, name, _in_dn if "=" in template else _in_bind_name)


def assertion(attribute: str, value: str) -> str:
    """
    The filter C{(attribute=value)}.
    """
    return f"({attribute}={escape_filter_chars(value)})"


def same_dn_form(dn: str) -> str:
    """
    A form that is equal for two spellings of a DN; the text itself if it is none.
    """
    try:
        parts = parse_dn(dn, strip=True)
    except Exception:  # ldap3 raises several kinds
        return dn.casefold()
    return "".join(
        f"{kind.strip().lower()}={' '.join(value.split()).casefold()}{joint}"
        for kind, value, joint in parts
    )


def first_value(dn: str) -> str:
    """
    The value of the first RDN, C{staff} of C{cn=staff,ou=groups}; the text itself if it is no DN.
    """
    try:
        return str(to_dn(dn, remove_space=True)[0]).partition("=")[2].replace("\\", "")
    except Exception:
        return dn


def _filled(template: str, name: str, escape: Callable[[str], str]) -> str:
    local, _, domain = name.rpartition("@") if "@" in name else (name, "", "")
    values = {"user": name, "local": local, "domain": domain}
    return _PLACE.sub(lambda found: escape(values[found[1]]), template)


def _in_dn(text: str) -> str:
    # ldap3 fails on an empty value and leaves NUL as it is.
    if not text or "\0" in text:
        raise CannotName("empty or with NUL")
    return str(escape_rdn(text))


def _in_bind_name(text: str) -> str:
    # Characters that names of accounts cannot have; some of them would make it another kind of
    # name, C{DOMAIN\user} or a DN.
    if not text or _NOT_IN_A_BIND_NAME.search(text):
        raise CannotName("with characters that no account name has")
    return text
