"""
The configuration of logins other than by password.
"""

from __future__ import annotations

import attrs

from .kinds import FileName, Text, Words
from .options import REQUIRED, option


@attrs.frozen(kw_only=True)
class LoginSettings:
    """
    Who may log in otherwise than by their own password.
    """

    administrators: tuple[str, ...] = option(
        Words(what="array of names or patterns"),
        [],
        "users who may act as any other, with their own password; `*`, `?` and `[...]` as in a"
        " shell",
    )
    certificate_name: str = option(
        Text(("", "email", "cn", "uid")),
        "",
        "where a client certificate has the user's name, for EXTERNAL: its mail address, or `CN` or"
        " `UID` of its subject; empty for nowhere",
    )
    token_keys: str = option(
        FileName(),
        "",
        "key set (JWKS) of whoever signs tokens, for OAUTHBEARER and XOAUTH2; empty for no tokens;"
        " read again when it changes",
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
