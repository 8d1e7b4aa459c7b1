"""
The whole policy as a table: listeners, kinds of connection, mechanisms, kinds of users.

    table = matrix(rehearsal, audiences(rehearsal))

L{changes} compares two of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import attrs

from mailaccess.policy.decision import Verdict
from mailaccess.policy.link import Link
from mailaccess.policy.rules import OWN_KEYS, PersonRule
from mailaccess.policy.tls import Decision, Person

from .policies import Network, networks
from .rehearsal import ANYWHERE, Rehearsal, Scene
from .settings import ListenerSettings
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
    """

    label: str
    tls: str
    certificate: str = ""
    peer: str = ANYWHERE
    proxy: bool = False


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
    """

    label: str
    name: str = STRANGER
    group: str = ""
    peer: str = ""
    known: bool = False
    held: bool = False

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


def connections(listener: ListenerSettings) -> list[Connection]:
    """
    The kinds that matter to a listener.
    """
    found = []
    if listener.tls != "implicit":
        found.append(Connection("no TLS", "none"))
        found += [
            Connection(f"no TLS from {word}", "none", peer=_peer(word))
            for word in listener.private
            if word != "proxy-tls"
        ]
    if listener.tls != "none":
        found += [Connection("TLS 1.2", "1.2"), Connection("TLS 1.3", "1.3")]
        if listener.client_certificate != "no":
            found.append(Connection("TLS 1.3, certificate", "1.3", "CN=somebody"))
    if listener.proxies:
        found += [Connection(f"TLS {it} at a proxy", it, proxy=True) for it in ("1.2", "1.3")]
    return found


def _peer(word: str) -> str:
    return UNIX if word == UNIX else _host(networks([word])[0])


def audiences(rehearsal: Rehearsal) -> list[Audience]:
    """
    Everybody else, those of each rule, and users whose own records say something.
    """
    found = [ANYONE]
    for rule in rehearsal.policy.people:
        found += _of_rule(rule)
    if len(rehearsal.ratchet):
        found.append(Audience("held by the ratchet", held=True))
    for name in _outspoken(rehearsal):
        found.append(Audience(f"user {name}", name, known=True))
    return list({each.label: each for each in found}.values())


def _of_rule(rule: PersonRule) -> Iterator[Audience]:
    label = f"group {rule.group}" if rule.group else rule.pattern
    name = STRANGER if rule.group else example(rule.pattern)
    if rule.pattern != "*":
        yield Audience(label, name, rule.group)
    for network in rule.networks:
        yield Audience(f"{label} from {network}", name, rule.group, _host(network))


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


def _host(network: Network) -> str:
    first = network.network_address
    return str(first + 1 if network.num_addresses > 1 else first)


def matrix(rehearsal: Rehearsal, people: Sequence[Audience]) -> Table:
    """
    All decisions.
    """
    table: dict[Cell, Decision] = {}
    persons = [(each, each.person(rehearsal)) for each in people]
    for listener in rehearsal.settings.listeners:
        rule = rehearsal.policy.listeners[listener.label]
        mechanisms = [each for each in rehearsal.mechanisms(listener) if rule.offers(each)]
        for connection in connections(listener):
            links: dict[str, Link] = {}
            for audience, person in persons:
                if audience.peer and connection.peer != ANYWHERE:
                    continue  # nobody comes from two places
                peer = audience.peer or connection.peer
                if peer not in links:
                    scene = Scene(
                        listener.label,
                        connection.tls,
                        peer=peer,
                        certificate=connection.certificate,
                        proxy=connection.proxy,
                    )
                    links[peer] = rehearsal.visitor(scene).link
                for mechanism in mechanisms:
                    cell = Cell(listener.label, connection.label, audience.label, mechanism.name)
                    table[cell] = rehearsal.policy.decide(links[peer], mechanism, person)
    return table


# ---- differences -------------------------------------------------------------------------------


@attrs.frozen
class Change:
    """
    Cells whose verdict is another one, and which differ in nothing but the mechanism.

    @ivar before: None where there was no such cell
    """

    cell: Cell
    mechanisms: tuple[str, ...]
    before: Decision | None
    after: Decision | None

    @property
    def opens(self) -> bool:
        """
        Whether somebody is let in now who was not before.
        """
        return _lets_in(self.after) and not _lets_in(self.before)

    @property
    def closes(self) -> bool:
        """
        The other way round.
        """
        return _lets_in(self.before) and not _lets_in(self.after)


def _lets_in(decision: Decision | None) -> bool:
    return decision is not None and decision.allowed


def changes(old: Table, new: Table) -> list[Change]:
    """
    What is decided differently. A cell that is in one table only counts as refused in the other.
    """
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell in dict.fromkeys([*old, *new]):
        before, after = old.get(cell), new.get(cell)
        if _verdict(before) is _verdict(after):
            continue
        key = (
            cell.listener,
            cell.connection,
            cell.audience,
            _verdict(before),
            _verdict(after),
            *(it and (it.rule, it.source) for it in (before, after)),
        )
        groups.setdefault(key, []).append(cell)
    return [
        Change(each[0], tuple(it.mechanism for it in each), old.get(each[0]), new.get(each[0]))
        for each in groups.values()
    ]


def _verdict(decision: Decision | None) -> Verdict:
    return Verdict.REFUSE if decision is None else decision.verdict


def touched(rehearsal: Rehearsal, audience: Audience) -> list[str]:
    """
    The users with records who belong to an audience that is not everybody.
    """
    if audience.known:
        return [audience.name]
    if audience.held:
        return [each for each in rehearsal.known() if rehearsal.ratchet(each)]
    rules = [
        rule
        for rule in rehearsal.policy.people
        if any(it.label == audience.label for it in _of_rule(rule))
    ]
    link = Link(peer=audience.peer)
    free = [attrs.evolve(rule, listeners=frozenset(), networks=()) for rule in rules]
    return [
        name
        for name in rehearsal.known()
        if any(rule.matches(rehearsal.person(name), link) for rule in free)
    ]
