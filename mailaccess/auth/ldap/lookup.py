"""
One login against a directory, in a worker thread: find the entry, bind as it, look at the groups.

Nothing here touches the reactor or what belongs to it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

import attrs

from .connection import Entry, Session
from .deadline import Deadline
from .entry import any_change, mark_of
from .escape import CannotName, assertion, bind_name, same_dn_form, search_filter
from .faults import WrongSetup
from .options import Finding
from .results import Outcome, Verdict
from .upstream import Upstream, Upstreams

MOST_GROUPS = 500
"""Groups looked at for one person, when groups are in groups."""

MOST_LEVELS = 20

_FAR_BELOW = "1.2.840.113556.1.4.1941"
"""Active Directory's LDAP_MATCHING_RULE_IN_CHAIN."""


@attrs.frozen
class Found:
    """
    What a login came to.

    @ivar entry: None if there is no such person, or the password was wrong and nothing was read
    @ivar known: the answer is the one remembered; no password was sent
    @ivar member: in one of the groups that may log in
    """

    verdict: Verdict
    entry: Entry | None = None
    known: bool = False
    member: bool = True

    @property
    def mark(self) -> str:
        """
        Changes with the password; empty if that cannot be seen.
        """
        return mark_of(self.entry) if self.entry is not None else ""


NOBODY = Verdict(Outcome.WRONG, "no such entry")
"""Nothing was found."""


class Lookup:
    """
    How people are found in one directory.
    """

    def __init__(self, upstreams: Upstreams, finding: Finding) -> None:
        self._upstreams = upstreams
        self._finding = finding

    def find(self, name: str, deadline: Deadline) -> Found:
        """
        The entry of a name and its groups, without a password.
        """

        def work(upstream: Upstream) -> Found:
            return self._upstreams.searching(upstream, looked, deadline)

        def looked(session: Session) -> Found:
            entry = self._entry(session, name)
            if entry is None:
                return Found(NOBODY)
            found = Verdict(Outcome.RIGHT, "found")
            return Found(found, entry, member=self.is_member(session, entry, name))

        return self._upstreams.ask(work, deadline)

    def login(self, name: str, secret: bytes, wrong: Container[str], deadline: Deadline) -> Found:
        """
        Whether this is the password, by a bind.

        @param wrong: marks of the entry with which it was wrong before
        """
        by_template = self._finding.way == "template"
        step: Callable[[Upstream], Found] = lambda upstream: (  # noqa: E731
            self._by_template(upstream, name, secret, deadline)
            if by_template
            else self._by_search(upstream, name, secret, wrong, deadline)
        )
        return self._upstreams.ask(step, deadline)

    def _by_search(
        self,
        upstream: Upstream,
        name: str,
        secret: bytes,
        wrong: Container[str],
        deadline: Deadline,
    ) -> Found:
        upstreams = self._upstreams
        entry = upstreams.searching(upstream, lambda it: self._entry(it, name), deadline)
        if entry is None:
            return Found(NOBODY)
        if mark_of(entry) in wrong:
            again = Verdict(Outcome.WRONG, "the same wrong password again: not sent")
            return Found(again, entry, known=True)
        verdict, _ = self._bind(upstream, entry.dn, secret, deadline)
        if verdict.plain and mark_of(entry) == any_change(entry):
            # A directory that counts wrong passwords has changed it now.
            after = upstreams.searching(upstream, lambda it: self._entry(it, name), deadline)
            return Found(verdict, after or entry)
        member = True
        if verdict.outcome is Outcome.RIGHT and self._finding.groups:
            member = upstreams.searching(
                upstream, lambda it: self.is_member(it, entry, name), deadline
            )
        return Found(verdict, entry, member=member)

    def _by_template(
        self, upstream: Upstream, name: str, secret: bytes, deadline: Deadline
    ) -> Found:
        finding = self._finding
        try:
            dn = bind_name(finding.template, name)
        except CannotName as error:
            return Found(Verdict(Outcome.WRONG, str(error)))
        own = dn if "=" in finding.template else ""
        reads = bool(finding.name or finding.fields or finding.groups)

        def read(session: Session) -> tuple[Entry | None, bool]:
            if not reads:
                return Entry(dn, {}), True
            entry = self._entry(session, name, own)
            if entry is None:
                # Right password, but the entry cannot be seen: there is no name for this person.
                raise WrongSetup(f"{dn!r} cannot read its own entry; check base and access rules")
            return entry, self.is_member(session, entry, name)

        verdict, got = self._bind(upstream, dn, secret, deadline, read)
        entry, member = got or (None, True)
        return Found(verdict, entry, member=member)

    def _bind(
        self,
        upstream: Upstream,
        dn: str,
        secret: bytes,
        deadline: Deadline,
        then: Callable[[Session], tuple[Entry | None, bool]] | None = None,
    ) -> tuple[Verdict, tuple[Entry | None, bool] | None]:
        """
        Bind on a connection of its own, which ends with it (LD-02).
        """
        session = self._upstreams.open(upstream, deadline)
        try:
            verdict = session.bind(dn, secret)
            if verdict.outcome is not Outcome.RIGHT:
                return verdict, None
            if upstream.tells:
                who = session.whoami()
                if who is None:
                    upstream.tells = False
                elif who in ("", "dn:"):
                    # LD-01: a server that says success to anybody is not to be believed.
                    return Verdict(Outcome.MISCONFIGURED, f"bound {dn!r}, but as nobody"), None
            return verdict, then(session) if then is not None else None
        finally:
            session.close()

    def having(
        self, attributes: Sequence[str], most: int, deadline: Deadline
    ) -> tuple[list[Entry], bool]:
        """
        People whose entries have any of some attributes, and whether there are more than C{most}.
        """
        finding = self._finding
        everybody = finding.filter
        for each in ("{user}", "{local}", "{domain}"):
            everybody = everybody.replace(each, "*")
        query = f"(&{everybody}(|{''.join(f'({each}=*)' for each in attributes)}))"

        def looked(session: Session) -> tuple[list[Entry], bool]:
            seconds = int(session.channel.deadline.left())
            return session.search(
                finding.base, query, finding.scope, finding.attributes, most, seconds
            )

        return self._upstreams.ask(
            lambda upstream: self._upstreams.searching(upstream, looked, deadline), deadline
        )

    # ---- entries and groups ---------------------------------------------------------------------

    def _entry(self, session: Session, name: str, dn: str = "") -> Entry | None:
        """
        The one entry of a name; none if there are several (LD-03).
        """
        finding = self._finding
        seconds = int(session.channel.deadline.left())
        if dn:
            base, query, scope = dn, "(objectClass=*)", "base"
        else:
            base, query, scope = finding.base, search_filter(finding.filter, name), finding.scope
        found, more = session.search(base, query, scope, finding.attributes, 2, seconds)
        if more or len(found) > 1:
            raise Ambiguous(f"several entries below {base!r} for {name!r}: {query}")
        return found[0] if found else None

    def is_member(self, session: Session, entry: Entry, name: str) -> bool:
        """
        Whether somebody is in one of the groups that may log in.
        """
        finding = self._finding
        if not finding.groups:
            return True
        if finding.group_check == "nested":
            return self._walk(session, entry.dn)
        if finding.group_check == "member":
            query = assertion(finding.member, entry.dn)
            if finding.member.lower() == "memberuid":
                query = assertion(finding.member, name.rpartition("@")[0] or name)
            return any(self._hits(session, each, query) for each in finding.groups)
        rule = f"memberOf:{_FAR_BELOW}:" if finding.group_check == "ad" else "memberOf"
        each_of = "".join(assertion(rule, each) for each in finding.groups)
        return self._hits(session, entry.dn, f"(|{each_of})")

    def _hits(self, session: Session, base: str, query: str) -> bool:
        seconds = int(session.channel.deadline.left())
        return bool(session.search(base, query, "base", (), 1, seconds)[0])

    def _walk(self, session: Session, dn: str) -> bool:
        """
        From the person upwards, level by level, each group once: circles end (LD-14).
        """
        finding = self._finding
        wanted = {same_dn_form(each) for each in finding.groups}
        seen: set[str] = set()
        level = [dn]
        for _ in range(MOST_LEVELS):
            query = "(|" + "".join(assertion(finding.member, each) for each in level) + ")"
            seconds = int(session.channel.deadline.left())
            found, more = session.search(
                finding.group_base or finding.base, query, "subtree", (), MOST_GROUPS, seconds
            )
            level = []
            for each in found:
                form = same_dn_form(each.dn)
                if form in wanted:
                    return True
                if form not in seen:
                    seen.add(form)
                    level.append(each.dn)
            if more or len(seen) > MOST_GROUPS:
                raise WrongSetup(f"over {MOST_GROUPS} groups above {dn!r}")
            if not level:
                return False
        raise WrongSetup(f"groups above {dn!r} are over {MOST_LEVELS} levels deep")


class Ambiguous(WrongSetup):
    """
    A name with more than one entry: nobody logs in by it.
    """
