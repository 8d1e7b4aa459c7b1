"""
For protocols that are not ours: let C{twisted.mail} and others log in through the guard.

Such a protocol gives its portal a L{UsernamePassword<twisted.cred.credentials.UsernamePassword>},
which does not say over what it came, so the guard refuses it. Give the protocol a L{LinkedPortal}
instead of the portal::

    protocol.portal = LinkedPortal(portal, lambda: link_of(protocol.transport), USER_PASS, "pop3")
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.cred.credentials import IUsernamePassword
from twisted.internet.defer import Deferred, fail
from zope.interface import Interface

from ..errors import AuthenticationFailed, MechanismRefused
from ..policy.link import Link
from ..policy.mechanism import Mechanism
from .credentials import PasswordLogin
from .names import BadName, decode_name


def linked(credentials: Any, link: Link, mechanism: Mechanism, service: str) -> PasswordLogin:
    """
    The same name and password, with what the guard wants to know.

    @param credentials: with C{username} and C{password}, octets or text
    @raise mailaccess.errors.AuthenticationFailed: the name can be nobody's
    @raise mailaccess.errors.MechanismRefused: there is no password in them
    """
    name = getattr(credentials, "username", None)
    secret = getattr(credentials, "password", None)
    raw_name = name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name
    raw_secret = secret.encode("utf-8", "surrogateescape") if isinstance(secret, str) else secret
    if not isinstance(raw_name, bytes) or not isinstance(raw_secret, bytes):
        raise MechanismRefused(detail="credentials without a name and a password")
    try:
        typed = decode_name(raw_name)
    except BadName as error:
        raise AuthenticationFailed(detail=str(error)) from None
    return PasswordLogin(typed, raw_secret, link, mechanism, service)


@attrs.frozen(eq=False)
class LinkedPortal:
    """
    A portal as one connection of a foreign protocol sees it.

    @ivar portal: the L{Portal<twisted.cred.portal.Portal>} with the guard
    @ivar link: the facts of the connection as they are at the call: after STARTTLS they are others
    @ivar mechanism: what the protocol's login amounts to
    """

    portal: Any
    link: Callable[[], Link]
    mechanism: Mechanism
    service: str

    def login(self, credentials: Any, mind: Any, *interfaces: type[Interface]) -> Deferred[Any]:
        """
        As L{Portal.login<twisted.cred.portal.Portal.login>}.
        """
        if not IUsernamePassword.providedBy(credentials):
            return fail(MechanismRefused(detail="only names with passwords can be passed on"))
        try:
            login = linked(credentials, self.link(), self.mechanism, self.service)
        except (AuthenticationFailed, MechanismRefused) as refused:
            return fail(refused)
        result: Deferred[Any] = self.portal.login(login, mind, *interfaces)
        return result
