"""
The configuration of users from an LDAP directory: C{[[users]]} with C{type = "ldap"}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from mailaccess.auth.ldap.escape import check_template
from mailaccess.auth.ldap.options import DEFAULT_STATES, parse_uri

from .kinds import Duration, FileName, Number, Switch, Text, Words, WrongValue
from .options import REQUIRED, option


@attrs.frozen
class URIs:
    """
    Servers, the preferred one first.
    """

    title: str = 'array of `"ldaps://HOST"`, `"ldap://HOST"`, `"ldapi://%2FSOCKET"`'

    def read(self, value: Any) -> tuple[str, ...]:
        words = Words().read(value)
        if not words:
            raise WrongValue('is empty; write for example ["ldaps://ldap.example.org"]')
        for each in words:
            try:
                parse_uri(each)
            except ValueError as error:
                raise WrongValue(f'has "{each}", {error}; write "ldaps://HOST"') from None
        return words


@attrs.frozen
class NameTemplate:
    """
    A text with a place for the user's name.
    """

    title: str = "text with `{user}`, `{local}`, `{domain}`"

    def read(self, value: Any) -> str:
        text = Text().read(value)
        try:
            check_template(text)
        except ValueError as error:
            raise WrongValue(str(error)) from None
        return text


@attrs.frozen
class Attributes:
    """
    A table of names of attributes.
    """

    title: str = 'table like `{ home = "mailHome" }`'

    def read(self, value: Any) -> Mapping[str, str]:
        if not isinstance(value, Mapping):
            raise WrongValue('is no table; write it like { home = "mailHome" }')
        return {str(field): Text().read(name) for field, name in value.items()}


@attrs.frozen(kw_only=True)
class LDAPSettings:
    """
    Users from an LDAP directory. With several C{[[users]]}, they are asked in this order.
    """

    type: str = option(Text(("file", "ldap")), REQUIRED, "`ldap`")
    label: str = option(Text(what="name"), "ldap", "for the log and for `mailaccess ldap-doctor`")
    uri: tuple[str, ...] = option(
        URIs(),
        REQUIRED,
        "servers with the same content; the first that works is asked, and the first of all again"
        " when it is back",
    )
    tls: str = option(
        Text(("required", "none")),
        "required",
        "with `ldap://`: StartTLS before anything else, or passwords in the clear; `ldaps://` is"
        " always TLS, `ldapi://` never",
    )
    insecure: bool = option(
        Switch(), False, 'permit `tls = "none"` to a server that is not on this machine'
    )
    ca: str = option(
        FileName(), "", "PEM file with the authorities to trust; those of the system if empty"
    )
    server_name: str = option(
        Text(what="name"), "", "the name to expect in certificates, if it is not the host's"
    )
    certificate: str = option(FileName(), "", "PEM file: certificate to show to the server")
    key: str = option(FileName(), "", "PEM file with its key; empty if that is in the same file")
    bind: str = option(
        Text(("simple", "external", "anonymous", "none")),
        "simple",
        "as whom to search: `bind_dn`, whom the certificate or this process is taken for, or"
        ' nobody; `none` not to search before the user has bound (`check = "template"`)',
    )
    bind_dn: str = option(Text(what="DN"), "", "the account that searches; needs to read only")
    bind_password_file: str = option(
        FileName(), "", "file whose first line is its password; only its owner may read it"
    )
    check: str = option(
        Text(("search", "template", "hash")),
        "search",
        "find the entry and bind as it; bind at once by `template`; or read the stored password"
        " and verify it here",
    )
    base: str = option(Text(what="DN"), "", "below which people are")
    scope: str = option(Text(("subtree", "one")), "subtree", "how far below")
    filter: str = option(NameTemplate(), "(uid={user})", "which entry is a user's; exactly one")
    template: str = option(
        NameTemplate(), "", "what to bind as: `uid={local},ou=people,...` or `{local}@corp.example`"
    )
    name: str = option(
        Text(what="attribute"),
        "uid",
        "has the canonical name, one value; empty for the name as it was given",
    )
    fields: Mapping[str, str] = option(
        Attributes(),
        {},
        "what else to read: `home`, `enabled`, `protocols`, `allow_nets`, `cleartext`, `quota`,"
        " `groups`, or any other name",
    )
    password_attribute: str = option(
        Text(what="attribute"), "userPassword", 'the stored password, for `check = "hash"`'
    )
    states: tuple[str, ...] = option(
        Words(what="array of attributes"),
        list(DEFAULT_STATES),
        "say whether an account is disabled, locked or expired",
    )
    groups: tuple[str, ...] = option(
        Words(what="array of DNs"), [], "only members of one of them; empty for everybody"
    )
    group_check: str = option(
        Text(("memberOf", "member", "nested", "ad")),
        "memberOf",
        "by the person's attribute, by the group's, groups in groups by walking upwards, or by"
        " Active Directory's own rule for that",
    )
    group_base: str = option(
        Text(what="DN"), "", "below which groups are, for `nested`; `base` if empty"
    )
    member: str = option(
        Text(what="attribute"), "member", "of a group, with the DNs of its members (or memberUid)"
    )
    domains: tuple[str, ...] = option(
        Words(what="array of domains"), [], "names in other domains are not looked for here"
    )
    connect_timeout: int = option(Duration(1, 30), "5s", "to make a connection")
    answer_timeout: int = option(Duration(1, 30), "5s", "of silence, then the server is down")
    deadline: int = option(Duration(2, 60), "12s", "for a whole login, whatever happens")
    threads: int = option(Number(1, 100), 10, "logins at a time")
    queue: int = option(Number(0, 10000), 200, "logins waiting; more are told to try later")
    retry: int = option(
        Duration(1, 300), "5s", "how often at least to look whether a server is back"
    )
    if_down: str = option(
        Text(("stop", "continue")),
        "stop",
        "ask the next `[[users]]`, or not: a weaker source is then not reached by knocking out"
        " this one",
    )
    outage: int = option(
        Duration(0, 7 * 86400),
        "0",
        "while the directory is down, take a password that was right so long ago, over TLS only;"
        " 0 for never",
    )
    lockout_guard: int = option(
        Duration(0, 86400),
        "10m",
        "do not send the same wrong password again for so long; until it is changed",
    )
    cache: int = option(Duration(0, 60), "0", "take a password that was right so long ago unasked")
    cache_wrong: int = option(Duration(0, 10), "0", "refuse one that was wrong so long ago unasked")
    source: str = "default"
