"""
From the configuration to who may log in how: proofs, rights, and what to warn of.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mailaccess.auth.holders import Holders, Host
from mailaccess.auth.pool import HashPool
from mailaccess.auth.proofs import Inventor, Proofs
from mailaccess.auth.rights import Rights
from mailaccess.auth.sasl import MECHANISMS
from mailaccess.auth.tokens import Tokens, Trust
from mailaccess.policy.mechanism import APOP, Mechanism

from .certificates import Certificates
from .settings import Settings


def proofs_of(
    settings: Settings,
    checker: Any,
    certificates: Certificates | None = None,
    pool: HashPool | None = None,
) -> Proofs:
    """
    How credentials are proved.

    @param certificates: the server's own; salts that are invented come from the key, so that they
        are the same after a restart. Without, they are others each time
    @param pool: for looking at tokens; not needed to know what is offered
    """
    it = settings.login
    trust = Trust(it.token_keys, it.token_issuer, it.token_audience, it.token_claim)
    return Proofs(
        checker,
        settings.mail.domain,
        Holders(
            it.certificate_name, tuple(Host(each.host, each.user) for each in settings.certificate)
        ),
        it.anonymous,
        Tokens(trust, pool) if it.token_keys else None,
        Inventor() if certificates is None else Inventor(_derived(certificates)),
    )


def rights_of(settings: Settings) -> Rights:
    """
    Who may act as somebody else.
    """
    return Rights(settings.login.administrators)


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
