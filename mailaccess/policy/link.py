"""
The facts of a connection that decisions are made from.
"""

from __future__ import annotations

from enum import Enum

import attrs

ADEQUATE_BITS = 112
"""
Below this a layer is none: NULL, export and single-DES ciphers protect nothing (RFC 2595 section
2.3).
"""

MOST_BITS = 256
"""No cipher has more, so none can be demanded."""


class Layer(Enum):
    """
    What, if anything, keeps others from reading the connection.
    """

    NONE = "none"
    TLS = "tls"
    PROXY_TLS = "proxy-tls"
    UNIX = "unix"
    LOOPBACK = "loopback"
    TRUSTED_NETWORK = "trusted-network"


@attrs.frozen
class Link:
    """
    One connection as it is now; STARTTLS makes a new one.

    @ivar listener: name of the listener in the configuration; empty is nobody's and refuses
    @ivar layer: why it may count as private
    @ivar bits: secret bits of the cipher; meaningful with C{TLS} and C{PROXY_TLS}
    @ivar tls_version: C{TLSv1.2}, C{TLSv1.3}, or empty
    @ivar certificate: subject of a verified client certificate, or empty
    @ivar certificate_names: what it names: pairs of C{cn}, C{uid}, C{email} or C{dns} and a value
    @ivar bindings: kinds of channel binding that a mechanism may use (RFC 5056), the best first
    @ivar peer: address of the client
    @ivar local: our address
    """

    listener: str = ""
    layer: Layer = Layer.NONE
    bits: int = 0
    tls_version: str = ""
    cipher: str = ""
    certificate: str = ""
    peer: str = ""
    local: str = ""
    certificate_names: tuple[tuple[str, str], ...] = ()
    bindings: tuple[str, ...] = ()

    @property
    def private(self) -> bool:
        """
        Whether a password may cross without being seen.
        """
        if self.layer in (Layer.TLS, Layer.PROXY_TLS):
            return self.bits >= ADEQUATE_BITS
        return self.layer is not Layer.NONE

    @property
    def strength(self) -> int:
        """
        Secret bits of the layer. One that the site counts as private without TLS has as many as
        anybody asks for.
        """
        if self.layer in (Layer.TLS, Layer.PROXY_TLS):
            return self.bits
        return 0 if self.layer is Layer.NONE else MOST_BITS
