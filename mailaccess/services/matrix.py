"""
The whole policy as a table: listeners, kinds of connection, mechanisms, kinds of users.

    table = matrix(rehearsal, audiences(rehearsal))

Two of them are compared by L{mailaccess.services.differences}.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address

import attrs

from mailaccess.policy.link import Link
from mailaccess.policy.rules import OWN_KEYS, PersonRule
from mailaccess.policy.tls import Decision, Person

from .policies import Network, networks
from .rehearsal import ANYWHERE, NotPlayable, Rehearsal, Scene
from .settings import ListenerSettings, Settings
from .stage import UNIX

STRANGER = "\N{REPLACEMENT CHARACTER}"
"""A name that only rules for everybody match."""

MOST_KNOWN = 200
"""Users with demands of their own that are shown by name."""


@attrs.frozen
class Connection:
    """
    One kind of connection to a listener.

    @ivar label: C{no TLS}, C{TLS 1.3}, ...
    @ivar via: address of the proxy, if it matters which one
    """

    label: str
    tls: str
    certificate: str = ""
    peer: str = ANYWHERE
    proxy: bool = False
    via: str = ""


@attrs.frozen
class Audience:
    """
    One kind of users.

    @ivar label: as a person calls it
    @ivar name: of the user, or one that stands for all that a pattern matches
    @ivar group: whose member it is
    @ivar peer: where they come from, if that matters
    @ivar known: a user with a record
    @ivar held: those whom the ratchet holds
    @ivar members: users with records who are alike, if that is what makes them one kind
    """

    label: str
    name: str = STRANGER
    group: str = ""
    peer: str = ""
    known: bool = False
    held: bool = False
    members: tuple[str, ...] = ()

    def person(self, rehearsal: Rehearsal) -> Person:
        """
        What a site knows of them.
        """
        if self.known:
            return rehearsal.person(self.name)
        ratchet = "ratchet" if self.held and len(rehearsal.ratchet) else ""
        return Person(self.name, {"groups": self.group} if self.group else {}, ratchet=ratchet)


@attrs.frozen
class Cell:
    """
    Where a decision stands in the table.
    """

    listener: str
    connection: str
    audience: str
    mechanism: str


Table = Mapping[Cell, Decision]

ANYONE = Audience("anyone else")


Places = Mapping[Network, str]
"""Of each network an address that stands for it."""


def places(*sites: Settings) -> Places:
    """
    Of each network that is named anywhere an address which is in no smaller one of them, if there
    is one: what is said of the smaller is not what is said of all of it.
    """
    found: set[Network] = set()
    for settings in sites:
        for listener in settings.listeners:
            found.update(networks([*listener.private, *listener.proxies]))
        for rule in settings.rule:
            found.update(networks(rule.from_))
    return {each: _address(each, found) for each in found}


def _address(network: Network, others: Collection[Network]) -> str:
    first = network.network_address
    edge = int(first) + (network.num_addresses > 1)
    inner = [
        each
        for each in others
        if each != network
        and each.version == network.version
        and int(first) <= int(each.network_address)
        and each.prefixlen > network.prefixlen
        and int(each.broadcast_address) <= int(network.broadcast_address)
    ]
    # They lie in one another or apart, so the first free address follows one of them.
    at = edge
    for each in sorted(inner, key=lambda it: int(it.network_address)):
        if int(each.network_address) <= at <= int(each.broadcast_address):
            at = int(each.broadcast_address) + 1
    at = at if at <= int(network.broadcast_address) else edge
    return str(type(first)(at))


def connections(
    listener: ListenerSettings, where: Places, other: ListenerSettings | None = None
) -> list[Connection]:
    """
    The kinds that matter to a listener.

    @param where: addresses in networks
    @param other: the listener of this name in another configuration: kinds that matter to either
    """
    both = [listener] if other is None else [listener, other]
    found = []
    if any(each.tls != "implicit" for each in both):
        found.append(Connection("no TLS", "none"))
        found += [
            Connection(f"no TLS from {word}", "none", peer=_peer(word, where))
            for word in _words(each.private for each in both)
            if word != "proxy-tls"
        ]
    if any(each.tls != "none" for each in both):
        found += [Connection("TLS 1.2", "1.2"), Connection("TLS 1.3", "1.3")]
        if any(each.client_certificate != "no" for each in both):
            found.append(Connection("TLS 1.3, certificate", "1.3", "CN=somebody"))
    if len({frozenset(each.proxies) for each in both}) > 1:
        found += [
            Connection(f"TLS {it} at a proxy in {word}", it, proxy=True, via=_peer(word, where))
            for word in _words(each.proxies for each in both)
            for it in ("1.2", "1.3")
        ]
    elif listener.proxies:
        found += [Connection(f"TLS {it} at a proxy", it, proxy=True) for it in ("1.2", "1.3")]
    return found


def _words(lists: Iterable[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(word for each in lists for word in each))


def _peer(word: str, where: Places) -> str:
    return UNIX if word == UNIX else where[networks([word])[0]]


def audiences(rehearsal: Rehearsal, where: Places | None = None) -> list[Audience]:
    """
    Everybody else, those of each rule, and users whose own records say something.

    @param where: addresses in networks; those of this site if None
    """
    where = places(rehearsal.settings) if where is None else where
    found = [ANYONE]
    for rule in rehearsal.policy.people:
        found += of_rule(rule, where)
    if len(rehearsal.ratchet):
        found.append(Audience("held by the ratchet", held=True))
    for name in _outspoken(rehearsal):
        found.append(Audience(f"user {name}", name, known=True))
    return list({each.label: each for each in found}.values())


def of_rule(rule: PersonRule, where: Places) -> Iterator[Audience]:
    """
    Those whom a rule is for, and those of them who come from where it is for.
    """
    label = f"group {rule.group}" if rule.group else rule.pattern
    name = STRANGER if rule.group else example(rule.pattern)
    if rule.pattern != "*":
        yield Audience(label, name, rule.group)
    for network in rule.networks:
        yield Audience(f"{label} from {network}", name, rule.group, where[network])


def _outspoken(rehearsal: Rehearsal) -> list[str]:
    found: list[str] = []
    for name in [*rehearsal.known(), *rehearsal.in_directories(MOST_KNOWN)]:
        if len(found) == MOST_KNOWN:
            break
        if OWN_KEYS.intersection(rehearsal.person(name).attributes):
            found.append(name)
    return found


def example(pattern: str) -> str:
    """
    A name that a pattern matches.
    """
    name, rest = "", pattern
    while rest:
        first, rest = rest[0], rest[1:]
        if first == "[" and "]" in rest[1:]:
            inside, _, rest = (rest[0] + rest[1:]).partition("]")
            first = STRANGER if inside.startswith("!") else inside[:1]
        elif first in "*?":
            first = STRANGER
        name += first
    return name if fnmatchcase(name, pattern) else pattern


def matrix(
    rehearsal: Rehearsal,
    people: Sequence[Audience],
    kinds: Mapping[str, Sequence[Connection]] | None = None,
    seconds: Callable[[], float] | None = None,
) -> Table:
    """
    All decisions.

    @param kinds: connections by listener; those that matter to each if None. What cannot be is not
        in the table
    @param seconds: another time than now
    """
    where = places(rehearsal.settings)
    policy = rehearsal.policy
    if seconds is not None:
        policy = attrs.evolve(policy, seconds=seconds)
    table: dict[Cell, Decision] = {}
    persons = [(each, each.person(rehearsal)) for each in people]
    for listener in rehearsal.settings.listeners:
        rule = policy.listeners[listener.label]
        mechanisms = [each for each in rehearsal.mechanisms(listener) if rule.offers(each)]
        here = connections(listener, where) if kinds is None else kinds[listener.label]
        for connection in here:
            if not _believes(listener, connection):
                continue
            links: dict[str, Link | None] = {}
            for audience, person in persons:
                if audience.peer and connection.peer != ANYWHERE:
                    continue  # nobody comes from two places
                peer = audience.peer or connection.peer
                if peer not in links:
                    links[peer] = _link(rehearsal, listener, connection, peer)
                link = links[peer]
                if link is None:
                    continue
                for mechanism in mechanisms:
                    cell = Cell(listener.label, connection.label, audience.label, mechanism.name)
                    table[cell] = policy.decide(link, mechanism, person)
    return table


def _believes(listener: ListenerSettings, connection: Connection) -> bool:
    if connection.via in ("", UNIX):
        return not connection.via or UNIX in listener.proxies
    return any(ip_address(connection.via) in each for each in networks(listener.proxies))


def _link(
    rehearsal: Rehearsal, listener: ListenerSettings, connection: Connection, peer: str
) -> Link | None:
    """
    Such a connection as the site sees it; None if it has none.
    """
    scene = Scene(
        listener.label,
        connection.tls,
        peer=peer,
        certificate=connection.certificate if listener.client_certificate != "no" else "",
        proxy=connection.proxy,
    )
    try:
        return rehearsal.visitor(scene).link
    except NotPlayable:
        return None
