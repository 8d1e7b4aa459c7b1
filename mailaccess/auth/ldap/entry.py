"""
What an entry of a directory says of a person.

Fields of the identity that the account gate reads (AUTH-11) come from the mapped attributes and
from the attributes of account states:

    userAccountControl        bit 0x2 set: disabled
    accountExpires            100 ns since 1601; 0 and the largest value are never
    pwdAccountLockedTime      locked; only where no bind has shown otherwise, as a lock may be over
    nsAccountLock             C{true}: disabled
    shadowExpire              days since 1970
    krbPrincipalExpiration    C{20261231235959Z}
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from ...errors import ContactAdmin, DirectoryUnavailable
from ...interfaces import Identity
from ..names import BadName, canonical_name
from .connection import Entry
from .escape import first_value
from .options import ALSO_MARKS, ANY_CHANGE, FAILURES, MARKS, Finding

_DISABLED_BIT = 0x2
_EPOCH_1601 = 11644473600
_NEVER_1601 = 0x7FFFFFFFFFFFFFFF
_YES = frozenset({"yes", "y", "true", "1", "on", "active", "enabled"})
_FOREVER = "000001010000Z"


def identity_of(
    entry: Entry, finding: Finding, typed: str, label: str, *, bound: bool, default_domain: str = ""
) -> Identity:
    """
    Who this is.

    @param typed: canonical name that was looked for
    @param bound: a bind has shown that the account is not locked
    @raise ContactAdmin: the entry cannot be used: not exactly one name, or one that cannot be
    """
    name = _name(entry, finding, typed, default_domain)
    fields = fields_of(entry, finding, bound=bound)
    home = fields.pop("home", "")
    if home and (not home.startswith("/") or "\0" in home or ".." in home.split("/")):
        raise ContactAdmin(detail=f"{label}: {entry.dn!r}: home {home!r} is no absolute path")
    return Identity(name, home, fields, label, mark=password_mark(entry, finding))


def _name(entry: Entry, finding: Finding, typed: str, default_domain: str) -> str:
    if not finding.name:
        return typed
    values = _texts(entry, finding.name)
    if len(values) != 1:
        raise ContactAdmin(
            detail=f"{entry.dn!r} has {len(values)} values of {finding.name}, not one"
        )
    name = values[0]
    domain = typed.rpartition("@")[2] if "@" in typed else ""
    if "@" not in name and domain in finding.domains:
        name = f"{name}@{domain}"
    try:
        return canonical_name(name, default_domain)
    except BadName as error:
        raise ContactAdmin(detail=f"{entry.dn!r}: {finding.name}: {error}") from None


def fields_of(entry: Entry, finding: Finding, *, bound: bool) -> dict[str, str]:
    """
    Fields by lower-case name.
    """
    found: dict[str, str] = {}
    for field, attribute in finding.fields.items():
        values = _texts(entry, attribute)
        if not values:
            continue
        key = field.lower()
        if key == "groups":
            values = [first_value(each) for each in values]
        if key == "enabled":
            if values[0].strip().lower() not in _YES:
                found["disabled"] = f"{attribute} = {values[0]}"
        else:
            found[key] = ",".join(values)
    for attribute in finding.states:
        values = _texts(entry, attribute)
        if values:
            _state(attribute.lower(), values[0].strip(), found, bound)
    return found


def mark_of(entry: Entry) -> str:
    """
    For the lockout guard: something that changes when the password does, and perhaps with other
    things; empty if the entry has nothing of the kind.

    A policy that counts wrong passwords changes C{modifyTimestamp} with each of them, so that says
    nothing there; it would tell of a new password by C{pwdChangedTime}.
    """
    for attribute in MARKS:
        values = entry.values.get(attribute.lower())
        if values:
            return f"{attribute}={values[0].decode('utf-8', 'replace')}"
    if entry.values.get(FAILURES.lower()):
        return f"{FAILURES}=any"
    return any_change(entry)


def any_change(entry: Entry) -> str:
    """
    Something that changes with the entry; empty if there is nothing of the kind.
    """
    values = entry.values.get(ANY_CHANGE.lower())
    return f"{ANY_CHANGE}={values[0].decode('utf-8', 'replace')}" if values else ""


def password_mark(entry: Entry, finding: Finding) -> str:
    """
    For sessions that last: what changes with the password and with nothing else, as
    C{KIND=VALUE KIND=VALUE}. Not C{modifyTimestamp}: with a policy that counts wrong passwords,
    strangers could change it, and end sessions by it.

    A directory may begin to tell with the next change of the password, so it says as well what is
    not there; but not where users read their own entries at the login, who may see less than the
    account that looks at them later.
    """
    kinds = (*MARKS, *ALSO_MARKS)
    marks = {} if finding.way == "template" else {each.lower(): "" for each in kinds}
    for each in kinds:
        values = entry.values.get(each.lower())
        if values:
            marks[each.lower()] = _short(values[0])
    return " ".join(f"{kind}={value}" for kind, value in marks.items())


def _short(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()[:16]


def _state(attribute: str, value: str, found: dict[str, str], bound: bool) -> None:
    if attribute == "useraccountcontrol":
        number = _number(value)
        if number is None or number & _DISABLED_BIT:
            found["disabled"] = f"userAccountControl = {value}"
    elif attribute == "nsaccountlock":
        if value.lower() != "false":
            found["disabled"] = f"nsAccountLock = {value}"
    elif attribute == "pwdaccountlockedtime":
        if not bound or value == _FOREVER:
            found["disabled"] = f"pwdAccountLockedTime = {value}"
    elif attribute == "accountexpires":
        number = _number(value)
        if number is None:
            found["expires"] = value or "?"
        elif number not in (0, _NEVER_1601):
            _expire(found, number // 10**7 - _EPOCH_1601)
    elif attribute == "shadowexpire":
        number = _number(value)
        if number is None:
            found["expires"] = value or "?"
        elif number >= 0:
            _expire(found, number * 86400)
    elif attribute == "krbprincipalexpiration":
        moment = _moment(value)
        if moment is None:
            found["expires"] = value or "?"
        else:
            _expire(found, moment)
    elif value.lower() not in ("", "false", "no", "0"):
        found["disabled"] = f"{attribute} = {value}"


def _expire(found: dict[str, str], seconds: int) -> None:
    """
    The earlier of two dates; one that cannot be read refuses already.
    """
    before = found.get("expires")
    if before is None or (before.isdecimal() and int(before) > seconds):
        found["expires"] = str(max(0, seconds))


def _number(value: str) -> int | None:
    digits = value.removeprefix("-")
    return int(value) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None


def _moment(value: str) -> int | None:
    """
    Generalized time in UTC, as directories write it.
    """
    try:
        found = datetime.strptime(value[:14] + value[-1:], "%Y%m%d%H%M%SZ")
    except ValueError:
        return None
    return int(found.replace(tzinfo=UTC).timestamp())


def _texts(entry: Entry, attribute: str) -> list[str]:
    """
    @raise DirectoryUnavailable: not UTF-8
    """
    values: list[bytes] = [*entry.values.get(attribute.lower(), ())]
    try:
        return [each.decode("utf-8") for each in values]
    except UnicodeDecodeError:
        raise DirectoryUnavailable(detail=f"{entry.dn!r}: {attribute} is not UTF-8") from None
