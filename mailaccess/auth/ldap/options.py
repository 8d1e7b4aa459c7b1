"""
Where a directory is and how people are found in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import unquote

import attrs

DEFAULT_STATES = (
    "userAccountControl",
    "accountExpires",
    "pwdAccountLockedTime",
    "nsAccountLock",
    "shadowExpire",
    "krbPrincipalExpiration",
)
"""Attributes that say whether an account may be used."""

_PORTS = {"ldap": 389, "ldaps": 636}
_URI = re.compile(r"(ldaps?)://(\[[0-9A-Fa-f:.]+\]|[^\[\]:/?#@\s]+)(?::([0-9]{1,5}))?/?", re.I)
_IPC = re.compile(r"ldapi://([^/?#\s]+)/?", re.I)


@attrs.frozen
class Target:
    """
    One server.

    @ivar scheme: C{ldap}, C{ldaps} or C{ldapi}
    @ivar host: name or address; the path of the socket with C{ldapi}
    @ivar port: 0 with C{ldapi}
    """

    uri: str
    scheme: str
    host: str
    port: int

    @property
    def local(self) -> bool:
        """
        Whether nobody else can read what goes there.
        """
        if self.scheme == "ldapi" or self.host.lower() == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_uri(text: str) -> Target:
    """
    C{ldap://host[:port]}, C{ldaps://host[:port]} or C{ldapi://%2Fpath%2Fof%2Fsocket}.

    @raise ValueError: something else; the text says what is wrong
    """
    found = _IPC.fullmatch(text)
    if found:
        path = unquote(found[1])
        if not path.startswith("/") or "\0" in path:
            raise ValueError("ldapi:// wants the path of the socket with %2F for each /")
        return Target(text, "ldapi", path, 0)
    found = _URI.fullmatch(text)
    if found is None:
        raise ValueError("not of the form ldaps://host, ldap://host:port or ldapi://%2Fsocket")
    scheme = found[1].lower()
    port = int(found[3]) if found[3] else _PORTS[scheme]
    if not 0 < port < 65536:
        raise ValueError("no such port")
    return Target(text, scheme, found[2].strip("[]"), port)


@attrs.frozen(kw_only=True)
class Connecting:
    """
    How to reach a directory and as whom to ask it.

    @ivar uris: servers with the same content, the preferred one first
    @ivar encrypt: StartTLS with C{ldap://}, before anything else is said and without a way round it
    @ivar ca_file: PEM file with the authorities to trust; empty for those of the system
    @ivar server_name: the name to expect in the certificates, where it is not the host's
    @ivar certificate: PEM file to show to the server, with C{key} if that is in another file
    @ivar bind: as whom to search: C{simple}, C{external} or C{anonymous}; empty for not at all
    @ivar password_file: first line is the password of C{bind_dn}
    @ivar connect_timeout: seconds for each address
    @ivar answer_timeout: seconds of silence
    @ivar deadline: seconds for a whole login, whatever happens
    @ivar threads: logins at a time
    @ivar queue: logins waiting
    @ivar retry: seconds between two looks at a server that is down, at most
    """

    uris: tuple[Target, ...]
    encrypt: bool = True
    ca_file: str = ""
    server_name: str = ""
    certificate: str = ""
    key: str = ""
    bind: str = "simple"
    bind_dn: str = ""
    password_file: str = ""
    connect_timeout: float = 5.0
    answer_timeout: float = 5.0
    deadline: float = 12.0
    threads: int = 10
    queue: int = 200
    retry: float = 5.0


@attrs.frozen(kw_only=True)
class Finding:
    """
    How people are found and what is read of them.

    @ivar way: C{search} (find the entry, then bind as it), C{template} (bind at once), or C{hash}
        (read the stored password and verify it here)
    @ivar filter: with C{{user}}, C{{local}}, C{{domain}}
    @ivar template: DN or name to bind as, with the same
    @ivar name: attribute with the canonical name, exactly one value; empty for the name as given
    @ivar fields: attribute by field of the identity; C{home} and C{enabled} are special
    @ivar states: attributes of account states that count
    @ivar groups: DNs; members of one of them may log in; empty for everybody
    @ivar group_check: C{memberOf}, C{member}, C{nested} (walking upwards), or C{ad} (nested, by
        Active Directory's own rule)
    @ivar group_base: below which groups lie, for C{nested}; empty for C{base}
    @ivar member: attribute of a group with DNs of members
    @ivar domains: of names that this directory knows; empty for all
    """

    way: str = "search"
    base: str = ""
    scope: str = "subtree"
    filter: str = "(uid={user})"
    template: str = ""
    name: str = "uid"
    fields: Mapping[str, str] = attrs.field(factory=dict)
    password: str = "userPassword"  # noqa: S105 - the name of an attribute
    states: tuple[str, ...] = DEFAULT_STATES
    groups: tuple[str, ...] = ()
    group_check: str = "memberOf"
    group_base: str = ""
    member: str = "member"
    domains: tuple[str, ...] = ()

    @property
    def attributes(self) -> tuple[str, ...]:
        """
        What to read of an entry.
        """
        wanted = [
            self.name,
            *self.fields.values(),
            *self.states,
            *MARKS,
            *ALSO_MARKS,
            FAILURES,
            ANY_CHANGE,
        ]
        if self.way == "hash":
            wanted.append(self.password)
        return tuple(dict.fromkeys(each for each in wanted if each))


MARKS = ("pwdLastSet", "pwdChangedTime", "krbLastPwdChange", "pwdUpdateTime")
"""
Attributes that tell when the password was changed: of Active Directory, of password policy, of
Kerberos, of 389 Directory Server.
"""

ALSO_MARKS = ("shadowLastChange", "sambaPwdLastSet")
"""
Tell the same where they are kept, but may be forgotten when a password changes: a change of theirs
means something, that there is none does not.
"""

FAILURES = "pwdFailureTime"
"""Is there while OpenLDAP's password policy counts wrong passwords."""

ANY_CHANGE = "modifyTimestamp"
"""Changes with a password that is told of by nothing else, and with other things, too."""
