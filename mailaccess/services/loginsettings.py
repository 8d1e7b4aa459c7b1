"""
The configuration of logins other than by password.
"""

from __future__ import annotations

import attrs

from .kinds import Text, Words
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
