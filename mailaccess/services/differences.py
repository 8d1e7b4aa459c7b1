"""
What a change of the configuration changes: all decisions of two sites, compared.

    for each in compare(Rehearsal(load("old.toml")), Rehearsal(load("new.toml"))):
        each.opens

Decisions depend on where somebody comes from, on all the rules that match them together, and on the
day. So besides the kinds of users of L{mailaccess.services.matrix} those are asked about who are in
the networks of others' rules, the users with records by what all rules say of them, and the days
after which an exception lapses. What only repeats what is said of more people is left out.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence

import attrs

from mailaccess.policy.decision import Verdict
from mailaccess.policy.link import Link
from mailaccess.policy.rules import OWN_KEYS, PersonRule, own_rule
from mailaccess.policy.tls import Decision, Person

from .matrix import (
    ANYONE,
    STRANGER,
    Audience,
    Cell,
    Connection,
    Places,
    Table,
    audiences,
    connections,
    matrix,
    of_rule,
    places,
)
from .rehearsal import Rehearsal

_NOWHERE = Link()
_OWN = OWN_KEYS | {"cleartext_until"}


@attrs.frozen
class Change:
    """
    Cells whose verdict is another one, and which differ in nothing but the mechanism.

    @ivar before: None where there was no such cell
    @ivar at: from when on, seconds since 1970; 0 for now
    @ivar names: users with records whom it touches; None for everybody without a rule
    """

    cell: Cell
    mechanisms: tuple[str, ...]
    before: Decision | None
    after: Decision | None
    at: float = 0.0
    names: Sequence[str] | None = None

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


_Pair = tuple[Verdict, Verdict]


def compare(old: Rehearsal, new: Rehearsal, now: float | None = None) -> list[Change]:
    """
    All that is decided differently, now or on a later day.

    @param now: seconds since 1970; by the clock if None
    """
    now = time.time() if now is None else now
    where = places(old.settings, new.settings)
    kinds = _kinds(old, new, where)
    people = {each.label: each for it in (old, new) for each in audiences(it, where)}
    covers: dict[str, list[str]] = {}
    for each, by in _finer(old, new, where, list(people.values())):
        if each.label not in people:
            people[each.label] = each
            covers[each.label] = by
    found: list[Change] = []
    said: set[tuple[Cell, _Pair]] = set()
    for at, labels in {now: list(people), **_ends(old, new, people.values(), now)}.items():
        whom, seconds = [people[each] for each in labels], at.__float__
        before, after = (matrix(it, whom, kinds, seconds) for it in (old, new))
        found += changes(before, after, covers, said, 0.0 if at == now else at)
    names = {
        label: _users(people[label], old, new, where)
        for label in dict.fromkeys(each.cell.audience for each in found)
    }
    return [attrs.evolve(each, names=names[each.cell.audience]) for each in found]


def changes(
    old: Table,
    new: Table,
    covers: Mapping[str, Collection[str]] | None = None,
    said: set[tuple[Cell, _Pair]] | None = None,
    at: float = 0.0,
) -> list[Change]:
    """
    What is decided differently. A cell that is in one table only counts as refused in the other.

    @param covers: labels of users, and those of more users that they are among
    @param said: what need not be said again; what is found is added
    """
    pairs: dict[Cell, _Pair] = {}
    for cell in dict.fromkeys([*old, *new]):
        pair = _verdict(old.get(cell)), _verdict(new.get(cell))
        if pair[0] is not pair[1]:
            pairs[cell] = pair
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell, pair in pairs.items():
        more = (covers or {}).get(cell.audience, ())
        if any(pairs.get(attrs.evolve(cell, audience=each)) == pair for each in more):
            continue
        if said is not None and (cell, pair) in said:
            continue
        why = tuple(it and (it.rule, it.source) for it in (old.get(cell), new.get(cell)))
        key = (cell.listener, cell.connection, cell.audience, pair, why)
        groups.setdefault(key, []).append(cell)
    if said is not None:
        said.update(pairs.items())
    return [
        Change(each[0], tuple(it.mechanism for it in each), old.get(each[0]), new.get(each[0]), at)
        for each in groups.values()
    ]


def _verdict(decision: Decision | None) -> Verdict:
    return Verdict.REFUSE if decision is None else decision.verdict


def _kinds(old: Rehearsal, new: Rehearsal, where: Places) -> dict[str, list[Connection]]:
    return {
        label: connections(
            new.listeners.get(label) or old.listeners[label], where, old.listeners.get(label)
        )
        for label in {**old.listeners, **new.listeners}
    }


def _ends(
    old: Rehearsal, new: Rehearsal, people: Collection[Audience], now: float
) -> dict[float, list[str]]:
    """
    When exceptions lapse that have not yet, and labels of those for whom they are.
    """
    found: dict[float, list[str]] = {}
    for each in people:
        ends: set[float | None] = set()
        for site in (old, new):
            person = each.person(site)
            ends.update(rule.until for rule in _rules(site, person))
            own = own_rule(person)
            ends.add(own.until if own is not None else None)
        for at in ends:
            if at is not None and at > now:
                found.setdefault(at, []).append(each.label)
    return dict(sorted(found.items()))


# ---- finer kinds of users ----------------------------------------------------------------------


def _finer(
    old: Rehearsal, new: Rehearsal, where: Places, people: Sequence[Audience]
) -> Iterator[tuple[Audience, list[str]]]:
    """
    Kinds of users that rules make only together, and labels of those that they are among.
    """
    everybody = [each for each in people if not each.peer]
    alike = list(_alike(old, new, where))
    yield from alike
    for each, by in [*((each, []) for each in everybody), *alike]:
        rules = [rule for it in (old, new) for rule in _rules(it, each.person(it))]
        found = dict.fromkeys(it for rule in rules for it in rule.networks)
        members = each.members or (tuple(_users(each, old, new, where) or ()) if found else ())
        for network in found:
            label = f"{each.label} from {network}"
            among = [ANYONE.label, each.label, *by]
            among += [f"{it} from {network}" for it in (*by, ANYONE.label) if it != each.label]
            yield attrs.evolve(each, label=label, peer=where[network], members=members), among


def _alike(old: Rehearsal, new: Rehearsal, where: Places) -> Iterator[tuple[Audience, list[str]]]:
    """
    Users with records, those together of whom all rules and their records say the same.
    """
    kinds: dict[tuple[object, ...], list[str]] = {}
    for name in sorted({*old.known(), *new.known()}):
        kinds.setdefault(_said(name, old, new), []).append(name)
    kinds.pop(_said(STRANGER, old, new), None)
    for names in kinds.values():
        first = names[0]
        label = f"users like {first}" if len(names) > 1 else f"user {first}"
        by = [ANYONE.label, f"user {first}"]
        for site in (old, new):
            for rule in _rules(site, site.person(first)):
                by += [it.label for it in of_rule(rule, where) if not it.peer]
        among = [each for each in dict.fromkeys(by) if each != label]
        yield Audience(label, first, known=True, members=tuple(names)), among


def _said(name: str, old: Rehearsal, new: Rehearsal) -> tuple[object, ...]:
    found: list[object] = []
    for site in (old, new):
        person = site.person(name)
        found.append(bool(person.ratchet))
        found += [_free(each).matches(person, _NOWHERE) for each in site.policy.people]
        found += sorted((key, person.attributes[key]) for key in _OWN & person.attributes.keys())
    return tuple(found)


def _rules(site: Rehearsal, person: Person) -> list[PersonRule]:
    """
    Those that are for somebody, wherever they come from.
    """
    return [each for each in site.policy.people if _free(each).matches(person, _NOWHERE)]


def _free(rule: PersonRule) -> PersonRule:
    """
    A rule for the same persons, wherever they come from.
    """
    if not rule.listeners and not rule.networks:
        return rule
    return attrs.evolve(rule, listeners=frozenset(), networks=())


# ---- names -------------------------------------------------------------------------------------


def _users(audience: Audience, old: Rehearsal, new: Rehearsal, where: Places) -> list[str] | None:
    """
    Who is touched; None for everybody without a rule.
    """
    if audience.members:
        return list(audience.members)
    if audience.label.partition(" from ")[0] == ANYONE.label:
        return None
    return sorted({*touched(old, audience, where), *touched(new, audience, where)})


def touched(rehearsal: Rehearsal, audience: Audience, where: Places) -> list[str]:
    """
    The users with records who belong to an audience that is not everybody.
    """
    if audience.known:
        return [audience.name]
    if audience.held:
        return [each for each in rehearsal.known() if rehearsal.ratchet(each)]
    free = [
        _free(rule)
        for rule in rehearsal.policy.people
        if any(it.label == audience.label for it in of_rule(rule, where))
    ]
    people: list[Person] = [rehearsal.person(name) for name in rehearsal.known()] if free else []
    return [each.name for each in people if any(rule.matches(each, _NOWHERE) for rule in free)]
