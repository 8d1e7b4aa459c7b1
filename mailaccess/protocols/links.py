"""
The facts of a connection, from its transport: who is at the other end, and what keeps others out.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import attrs

from ..policy.link import Layer, Link
from .tlsfacts import TLSFacts, link_facts


@attrs.frozen
class Announced:
    """
    What a proxy says of the client behind it.

    Whoever accepts connections sets it as C{announced} on the transport, before the protocol is
    connected, and only for proxies that the site has named (POL-09). A TLS layer of our own on top
    of the transport hands it through.

    @ivar peer: the client's address, or empty where the proxy does not tell
    @ivar local: the address that the client connected to, or empty
    @ivar tls: the TLS between client and proxy; None if there is none, or nothing is told
    """

    peer: str = ""
    local: str = ""
    tls: TLSFacts | None = None


def link_of(
    transport: Any, listener: str, private: Collection[Layer] = (), trusted: Collection[Any] = ()
) -> Link:
    """
    A connection as it is now.

    @param private: layers besides TLS that count as private; none is assumed
    @param trusted: networks whose addresses make a link C{TRUSTED_NETWORK}, if that is private
    """
    peer, local = transport.getPeer(), transport.getHost()
    host = getattr(peer, "host", "") or ""
    networks = trusted if Layer.TRUSTED_NETWORK in private else ()
    facts = link_facts(transport)
    link = Link(listener=listener, peer=host, local=getattr(local, "host", "") or "")
    told = getattr(transport, "announced", None)
    if isinstance(told, Announced):
        return _proxied(link, told, facts, Layer.PROXY_TLS in private, networks)
    if facts is not None:
        return _secured(link, Layer.TLS, facts)
    if not private:
        return link
    if not host:
        unix = Layer.UNIX in private and hasattr(peer, "name")
        return attrs.evolve(link, layer=Layer.UNIX) if unix else link
    if Layer.LOOPBACK in private and _ip(host).is_loopback:
        return attrs.evolve(link, layer=Layer.LOOPBACK)
    return _trusting(link, networks)


def _proxied(
    link: Link, told: Announced, facts: TLSFacts | None, believes: bool, networks: Collection[Any]
) -> Link:
    """
    TLS that ends at the proxy is what the client has, whatever lies between the proxy and us, and
    is as strong as the weaker of the two where both have TLS.

    Of a client that is not told nothing is known; and the loopback of a proxy is not ours.
    """
    link = attrs.evolve(link, peer=told.peer or link.peer, local=told.local or link.local)
    if told.tls is not None:
        if not believes:
            return link
        bits = told.tls.bits if facts is None else min(told.tls.bits, facts.bits)
        return _secured(link, Layer.PROXY_TLS, told.tls._replace(bits=bits))
    if facts is not None:
        return _secured(link, Layer.TLS, facts)
    return _trusting(link, networks) if told.peer else link


def _secured(link: Link, layer: Layer, facts: TLSFacts) -> Link:
    return attrs.evolve(
        link,
        layer=layer,
        bits=facts.bits,
        tls_version=facts.version,
        cipher=facts.cipher,
        certificate=facts.certificate,
        certificate_names=facts.names,
        bindings=facts.bindings,
    )


def _trusting(link: Link, networks: Collection[Any]) -> Link:
    if not networks:
        return link
    ip = _ip(link.peer)
    trusted = any(ip in each for each in networks)
    return attrs.evolve(link, layer=Layer.TRUSTED_NETWORK) if trusted else link


def _ip(host: str) -> IPv4Address | IPv6Address:
    ip = ip_address(host.partition("%")[0])
    return getattr(ip, "ipv4_mapped", None) or ip
