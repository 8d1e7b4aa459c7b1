"""
What is likely wrong when a step against a directory fails, and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .options import Connecting, Finding

_SAYS: Sequence[tuple[str, str, str]] = (
    ("resolve", "", "the name in uri is wrong, or the name server of this machine is down"),
    ("connect", "refused", "nothing listens there: is slapd running, and is the port right?"),
    ("connect", "no answer", "a firewall drops it, or the host is down"),
    ("connect", "no such file", "there is no such socket: look at the -h option of slapd"),
    ("connect", "permission", "the socket may not be used by this user"),
    ("starttls", "refused", "the server has no certificate; give it one, or use ldaps://"),
    ("starttls", "no answer", "the server hangs, or this is the port of ldaps://"),
    ("starttls", "closed", "this is the port of ldaps://, or something else than LDAP"),
    ("starttls", "in the clear", "something between here and the server meddles"),
    ("tls", "mismatch", "the certificate is for another name: correct uri, or set server_name"),
    (
        "tls",
        "doesn't match",
        "the certificate is for another name: correct uri, or set server_name",
    ),
    (
        "tls",
        "not valid for",
        "the certificate is for another name: correct uri, or set server_name",
    ),
    ("tls", "expired", "renew the certificate, or mend the clock of this machine"),
    ("tls", "not yet valid", "the clock of this machine or of the server is wrong"),
    ("tls", "issuer", "who signed it is not trusted: set ca to the authority's certificate"),
    ("tls", "self-signed", "who signed it is not trusted: set ca to the authority's certificate"),
    ("tls", "self signed", "who signed it is not trusted: set ca to the authority's certificate"),
    ("tls", "no answer in time", "the server hangs, or a firewall lets nothing but connections by"),
    ("tls", "certificates cannot be read", "ca, certificate or key is no good PEM file"),
    ("tls", "", "this is no port of ldaps://, or the server knows no TLS 1.2: try ldap://"),
    ("bind", "others may read", "chmod 600 the file with the password"),
    ("bind", "no such file", "bind_password_file is not there"),
    ("bind", "invalidDNSyntax", "bind_dn is no DN this directory takes"),
    ("bind", "strongerAuth", 'use ldaps://, or tls = "required"'),
    ("bind", "confidentiality", 'use ldaps://, or tls = "required"'),
    ("bind", "data 52e", "bind_dn or its password is wrong"),
    ("bind", "data 775", "the account that searches is locked"),
    ("bind", "data 53", "the account that searches is disabled, or its password has expired"),
    ("bind", "result 49", "bind_dn or its password is wrong"),
    ("bind", "noSuchObject", "bind_dn does not exist"),
    ("bind", "mechanism", "the server knows nobody by this certificate or process: authz-regexp"),
    ("base", "result 32", "base is spelled wrong, or the account that searches may not see it"),
    ("base", "successful bind", "this directory answers nobody: set bind_dn"),
    ("base", "result 50", "the account that searches may not search there"),
    ("base", "referral", "base is in another domain: ask its server, or the global catalogue"),
    ("filter", ": 0 hits", "no such user, or filter, base or scope do not fit; is {local} meant?"),
    ("filter", "hits", "filter fits several entries: make it match one"),
    ("filter", "result 50", "the account that searches may not search there"),
    ("groups", "result 32", "the DN of the group is wrong, or may not be seen"),
    (
        "groups",
        "none of",
        "not a member; or group_check does not fit: groups in groups need"
        " nested, or ad in Active Directory",
    ),
    ("attributes", "values of", "the attribute of name must have one value: choose another"),
    ("attributes", "home", "the attribute of home must be an absolute path"),
    ("login", "locked", "the account is locked: unlock it in the directory"),
    ("login", "data 773", "the password has to be changed first"),
    ("login", "expired", "the password or the account has expired"),
    ("login", "disabled", "the account is disabled"),
    ("login", "as nobody", "the server says success to wrong passwords: mend its configuration"),
    ("login", "own entry", 'let users read their own entry, or write bind = "simple"'),
    ("login", "result 49", "the password is wrong"),
    ("", "not done within", "the server hangs or is very slow"),
    ("", "no answer in time", "the server hangs or is very slow"),
    ("", "closed", "the server ended the connection: look at its log"),
)


def likely_cause(step: str, detail: str, connecting: Connecting, finding: Finding) -> str:
    """
    The first that fits; a general one else.
    """
    if step == "groups" and finding.group_check == "memberOf" and "none of" in detail:
        return (
            "not a member; or the directory has no memberOf (its overlay came later than the"
            ' group?): try group_check = "member", "nested" or "ad"'
        )
    low = detail.lower()
    fits: Callable[[tuple[str, str, str]], bool] = lambda each: (  # noqa: E731
        each[0] in ("", step) and each[1].lower() in low
    )
    found = next((each[2] for each in _SAYS if fits(each)), "")
    if not found and connecting.bind == "anonymous":
        return "try it with bind_dn: many directories tell nobody anything"
    return found or "see the log of the directory"
