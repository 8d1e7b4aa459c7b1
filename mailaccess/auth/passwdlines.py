"""
The lines of a password file in Dovecot's passwd-file format::

    # comment
    amy:{ARGON2ID}$argon2id$...:::Amy Example:/srv/mail/amy::cleartext=refuse protocols=imap,pop3
    name:password:uid:gid:gecos:home:shell:extra fields, separated by spaces

Later fields may be missing. An empty password, C{!} or C{*} means that nobody logs in by this line,
which still says what policy holds for the name; C{{NONE}} that there is no password, and one logs
in by a certificate or a token. SCRAM keys in PostgreSQL's form have colons that are no separators.
Extra fields are kept whatever they are called; C{userdb_} is taken off their names. Those that mean
something here: C{cleartext} (the policy), C{nologin}, C{disabled}, C{expires}, C{protocols},
C{allow_nets} (the gate), C{may_act_as} (L{mailaccess.auth.rights}).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import attrs

from .names import BadName, canonical_name, decode_name
from .passwords import BadHash, Limits, cost, dummy, scheme_of, scram_keys

_NO_PASSWORD = frozenset({"", "!", "!!", "*", "x"})
_OTHER_WAYS = "{NONE}"
_USERDB = "userdb_"
_POSTGRESQL = re.compile(
    r"([^:]*):((?:\{[A-Z0-9-]{1,32}\})?SCRAM-SHA-(?:1|256)\$[0-9]+:[^:$]*\$[^:]*:[^:]*)(?::(.*))?",
    re.DOTALL,
)
_DEFAULT_SCHEME = "ARGON2ID"


@attrs.frozen
class Record:
    """
    One line.

    @ivar stored: the password as stored; empty if nobody can log in with it
    @ivar usable: somebody may log in by this line, with the password or otherwise
    @ivar problem: why not, if the line meant it otherwise
    @ivar extra: as written
    """

    name: str
    line: int
    stored: str = attrs.field(repr=False, default="")
    home: str = ""
    extra: str = ""
    problem: str = ""
    usable: bool = False

    def fields(self) -> Mapping[str, str]:
        """
        The extra fields by lower-case name; one without C{=} is C{yes}.
        """
        found: dict[str, str] = {}
        for word in self.extra.split():
            key, equals, value = word.partition("=")
            key = key.lower()
            text = value if equals else "yes"
            if key.startswith(_USERDB):
                found.setdefault(key.removeprefix(_USERDB), text)
            else:
                found[key] = text
        return found


@attrs.frozen
class Contents:
    """
    A whole file. Lines are kept as they are and taken apart when somebody asks: a hundred thousand
    objects would make each garbage collection hold up the reactor.

    @ivar lines: number and octets by canonical name
    @ivar unusable: why the password of a name is none, where the line meant it otherwise
    @ivar problems: C{line: what is wrong}, for each line that is not as it should be
    @ivar dummy: a stored password that nobody knows, as expensive as most of the file's (AUTH-05)
    @ivar users: how many lines somebody may log in by
    @ivar schemes: how many passwords there are of each scheme
    @ivar usual: octets of salt and iterations of most SCRAM keys, by scheme
    """

    lines: Mapping[str, tuple[int, bytes]] = attrs.field(repr=False)
    unusable: Mapping[str, str]
    problems: tuple[str, ...]
    dummy: str = attrs.field(repr=False)
    users: int = 0
    schemes: Mapping[str, int] = attrs.field(factory=dict)
    usual: Mapping[str, tuple[int, int]] = attrs.field(factory=dict)

    def find(self, name: str) -> Record | None:
        """
        What the file says of a canonical name.
        """
        found = self.lines.get(name)
        if found is None:
            return None
        record = _read_line(found[1], found[0], name)
        problem = self.unusable.get(name, "")
        if problem:
            return attrs.evolve(record, stored="", problem=problem, usable=False)
        return record


def read_lines(text: bytes, limits: Limits, default_domain: str = "") -> Contents:
    """
    All good lines, and what is wrong with the others. Takes about a second for 100,000 lines.
    """
    lines: dict[str, tuple[int, bytes]] = {}
    unusable: dict[str, str] = {}
    problems: list[str] = []
    costs: Counter[str] = Counter()
    examples: dict[str, str] = {}
    schemes: Counter[str] = Counter()
    users = 0
    for number, line in enumerate(text.split(b"\n"), 1):
        line = line.removesuffix(b"\r")
        if not line.strip() or line.lstrip().startswith(b"#"):
            continue
        try:
            name = canonical_name(decode_name(line.partition(b":")[0]), default_domain)
            record = _read_line(line, number, name)
        except BadName as error:
            problems.append(f"{number}: {error}")
            continue
        if name in lines:
            problems.append(f"{number}: {name!r} is also in line {lines[name][0]}, which counts")
            continue
        lines[name] = (number, line)
        if record.stored:
            try:
                price = cost(record.stored, limits)
            except BadHash as error:
                problems.append(f"{number}: password of {name!r}: {error.reason}")
                unusable[name] = error.reason
                continue
            costs[price] += 1
            examples.setdefault(price, record.stored)
        users += record.usable
    most = costs.most_common(1)
    like = examples[most[0][0]] if most else _DEFAULT_SCHEME
    usual: dict[str, tuple[int, int]] = {}
    for price, count in costs.most_common():
        scheme = scheme_of(examples[price])
        schemes[scheme] += count
        keys = scram_keys(examples[price], scheme, limits)
        if keys is not None:
            usual.setdefault(scheme, (len(keys.salt), keys.iterations))
    return Contents(lines, unusable, tuple(problems), dummy(like), users, schemes, usual)


def fields_of(line: str, most: int = 8) -> list[str]:
    """
    The fields of a line; the last of C{most} keeps its colons.
    """
    found = _POSTGRESQL.fullmatch(line)
    if found is None:
        return line.split(":", most - 1)
    rest = [] if found[3] is None else found[3].split(":", most - 3)
    return [found[1], found[2], *rest]


def _read_line(line: bytes, number: int, name: str) -> Record:
    try:
        texts = fields_of(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise BadName("not UTF-8") from None
    if len(texts) < 2:
        raise BadName("no colon: name:password is the least")
    texts += [""] * (8 - len(texts))
    other_ways = texts[1] == _OTHER_WAYS
    stored = "" if other_ways or texts[1] in _NO_PASSWORD else texts[1]
    usable = other_ways or bool(stored)
    return Record(name, number, stored, home=texts[5], extra=texts[7], usable=usable)
