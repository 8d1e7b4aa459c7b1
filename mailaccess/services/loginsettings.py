"""
The configuration of logins other than by password.
"""

from __future__ import annotations

import attrs

from .kinds import Address, Duration, FileName, FileOrAddress, Number, Switch, Text, Words
from .options import REQUIRED, option


@attrs.frozen(kw_only=True)
class LoginSettings:
    """
    Who may log in otherwise than by their own password, and for how long a login is good.
    """

    administrators: tuple[str, ...] = option(
        Words(what="array of names or patterns"),
        [],
        "users who may act as any other, with their own password; `*`, `?` and `[...]` as in a"
        " shell",
    )
    master_separator: str = option(
        Text(("", "*", "%", "#", "!", "|")),
        "",
        "`amy*boss` as a user name, with the password of `boss`, is `boss` acting as `amy`, if that"
        " is a right of theirs; empty for no such names. Users cannot have it in their names then",
    )
    administrators_open_disabled: bool = option(
        Switch(), False, "they may act as users who are disabled or expired, too"
    )
    recheck: int = option(
        Duration(most=86400),
        "10m",
        "sessions end at the latest so long after their user was disabled or deleted, or got"
        " another password; 0 for never",
    )
    recheck_rate: int = option(
        Number(1, 1000), 20, "users looked up a second for that, at most; then it takes longer"
    )
    certificate_name: str = option(
        Text(("", "email", "cn", "uid")),
        "",
        "where a client certificate has the user's name, for EXTERNAL: its mail address, or `CN` or"
        " `UID` of its subject; empty for nowhere",
    )
    token_keys: str = option(
        FileOrAddress(),
        "",
        "key set (JWKS) of whoever signs tokens, for OAUTHBEARER and XOAUTH2; a file is read again"
        " when it changes, an address fetched again every hour; empty for no such tokens",
    )
    token_introspection: str = option(
        Address(),
        "",
        "where the issuer is asked about each token (RFC 7662), instead of `token_keys`; empty for"
        " nowhere",
    )
    token_client: str = option(
        Text(what="client name"), "", "as whom it is asked; empty to ask without a name"
    )
    token_client_secret_file: str = option(
        FileName(), "", "file whose first line is the secret of that client; mode 0600"
    )
    token_scope: str = option(
        Text(what="scope"), "", "a word that has to be in `scope` of the issuer's answer"
    )
    token_ca: str = option(
        FileName(),
        "",
        "certificates of those who may vouch for the issuer's addresses; empty for the system's",
    )
    token_issuer: str = option(
        Text(what="issuer"), "", "who has to have made a token (`iss`), exactly"
    )
    token_audience: str = option(
        Text(what="audience"), "", "for whom a token has to be (`aud`): this service"
    )
    token_claim: str = option(
        Text(what="claim"), "email", "where a token has the user's name; `sub` or another"
    )
    anonymous: str = option(
        Text(what="user name"), "", "whose mail those see who log in by ANONYMOUS; empty for nobody"
    )


@attrs.frozen(kw_only=True)
class CertificateSettings:
    """
    A host whose client certificate is a user's, for EXTERNAL. These come before C{certificate_name}
    of C{[login]}.
    """

    host: str = option(Text(what="host name"), REQUIRED, "a name that the certificate is for")
    user: str = option(Text(what="user name"), REQUIRED, "the user")
    source: str = "default"
