"""
From the configuration to who may log in how: proofs, rights, and what to warn of.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mailaccess.auth.holders import Holders, Host
from mailaccess.auth.introspection import Asked, Introspection
from mailaccess.auth.issuer import Web
from mailaccess.auth.keysets import KeyAddress, KeyFile
from mailaccess.auth.ldap.upstream import read_secret
from mailaccess.auth.pool import HashPool
from mailaccess.auth.proofs import Inventor, Proofs
from mailaccess.auth.rights import Rights
from mailaccess.auth.sasl import MECHANISMS
from mailaccess.auth.tokens import LooksAtTokens, Tokens, Trust, Untold
from mailaccess.policy.mechanism import APOP, Mechanism

from .certificates import Certificates
from .loginsettings import LoginSettings
from .settings import Settings


def proofs_of(
    settings: Settings,
    checker: Any,
    certificates: Certificates | None = None,
    pool: HashPool | None = None,
    reactor: Any = None,
) -> Proofs:
    """
    How credentials are proved.

    @param certificates: the server's own; salts that are invented come from the key, so that they
        are the same after a restart. Without, they are others each time
    @param pool: for looking at tokens; not needed to know what is offered
    @param reactor: for asking their issuer; goes with C{pool}
    """
    it = settings.login
    return Proofs(
        checker,
        settings.mail.domain,
        Holders(
            it.certificate_name, tuple(Host(each.host, each.user) for each in settings.certificate)
        ),
        it.anonymous,
        _tokens_of(it, pool, reactor),
        Inventor() if certificates is None else Inventor(_derived(certificates)),
    )


def _tokens_of(it: LoginSettings, pool: HashPool | None, reactor: Any) -> LooksAtTokens | None:
    if not (it.token_keys or it.token_introspection):
        return None
    if pool is None:
        return Untold()
    trust = Trust(it.token_issuer, it.token_audience, it.token_claim)
    web = Web(reactor, it.token_ca)
    if it.token_introspection:
        path = it.token_client_secret_file
        secret = partial(read_secret, path) if path else bytes
        asked = Asked(it.token_introspection, it.token_client, secret, it.token_scope)
        return Introspection(asked, trust, web, pool.run, time.time)
    if "://" in it.token_keys:
        return Tokens(trust, KeyAddress(it.token_keys, web.get, time.monotonic), pool)
    return Tokens(trust, KeyFile(it.token_keys), pool)


def rights_of(settings: Settings) -> Rights:
    """
    Who may act as somebody else.
    """
    return Rights(settings.login.administrators, settings.login.administrators_open_disabled)


def weak_mechanisms(settings: Settings) -> Iterator[tuple[str, Mechanism]]:
    """
    Listeners and mechanisms that they had better not name.
    """
    weak = {each.mechanism.name: each.mechanism for each in MECHANISMS.values()} | {"APOP": APOP}
    for listener in settings.listeners:
        for name in listener.mechanisms:
            if name in weak and weak[name].weak:
                yield listener.label, weak[name]


def _derived(certificates: Certificates) -> bytes:
    key = certificates.default.key
    octets = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return hmac.digest(b"mailaccess: salts of nobody", octets, hashlib.sha256)
