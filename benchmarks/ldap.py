"""
Logins per second against slapd with 5,000 people, by search and bind, beside what C{ldap3} reaches
by binds alone from as many threads.
"""

from __future__ import annotations

import itertools
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import ldap3

from mailaccess.auth.ldap.deadline import Deadline
from mailaccess.auth.ldap.lookup import Lookup
from mailaccess.auth.ldap.options import Connecting, Finding, parse_uri
from mailaccess.auth.ldap.results import Outcome
from mailaccess.auth.ldap.upstream import Upstreams
from tests.auth.ldap import slapd as real

from .figures import Figure, Plan, against, take_turns
from .load import Unexpected

AT_ONCE = 10
GOAL = 0.6
NOTE = (
    "Both sides connect, encrypt, bind and unbind each time, in 10 threads of one process; ours"
    " also searches, asks who it is, and looks at the account's state."
)


def run(plan: Plan) -> Iterator[Figure]:
    """
    Measure.
    """
    authority = real.Authority()
    servers = real.running(plan.place / "ldap", authority, real.MANY)
    server = next(servers)
    try:
        secret = plan.place / "reader"
        secret.touch(0o600)
        secret.write_text(real.READER_SECRET + "\n")
        for title, uri, encrypt in (
            ("ldaps", server.tls_uri, True),
            ("StartTLS", server.uri, True),
            ("ldapi", server.ipc_uri, False),
        ):
            sides = [
                _repeated(_logins(uri, encrypt, str(server.ca), str(secret)), plan),
                _repeated(_binds(uri, encrypt, str(server.ca)), plan),
            ]
            took = take_turns(plan.rounds, sides)
            note = NOTE if title == "ldaps" else ""
            # By socket the client's processor is all there is to measure.
            least = GOAL if title != "ldapi" else None
            name = f"LDAP logins over {title}"
            yield against(name, "/s", took[0], took[1], "ldap3 bind", least=least, note=note)
    finally:
        servers.close()  # type: ignore[attr-defined]


def _logins(uri: str, encrypt: bool, ca: str, secret: str) -> Callable[[int], None]:
    options = Connecting(
        uris=(parse_uri(uri),),
        encrypt=encrypt,
        ca_file=ca,
        bind_dn=real.READER,
        password_file=secret,
    )
    lookup = Lookup(Upstreams(options), Finding(base=real.BASE))

    def login(number: int) -> None:
        found = lookup.login(f"u{number:05}", real.AMYS.encode("ascii"), (), Deadline(60))
        if found.verdict.outcome is not Outcome.RIGHT:
            raise Unexpected(found.verdict.reason)

    return login


def _binds(uri: str, encrypt: bool, ca: str) -> Callable[[int], None]:
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=ca, valid_names=["ldap.corp.example"])
    starts = ldap3.AUTO_BIND_TLS_BEFORE_BIND if encrypt and uri.startswith("ldap:") else True

    def bind(number: int) -> None:
        ldap3.Connection(
            ldap3.Server(uri, tls=tls if encrypt else None, get_info=ldap3.NONE),
            f"uid=u{number:05},{real.PEOPLE}",
            real.AMYS,
            auto_bind=starts,
            check_names=False,
        ).unbind()

    return bind


def _repeated(once: Callable[[int], None], plan: Plan) -> Callable[[], float]:
    """
    How often a second, from L{AT_ONCE} threads, each time for somebody else.
    """
    people = itertools.cycle(range(real.MANY))

    def turn() -> float:
        end, counts = time.perf_counter() + plan.seconds, [0] * AT_ONCE
        trouble: list[BaseException] = []

        def work(place: int) -> None:
            try:
                while time.perf_counter() < end:
                    once(next(people))
                    counts[place] += 1
            except Exception as error:
                trouble.append(error)

        threads = [threading.Thread(target=work, args=(place,)) for place in range(AT_ONCE)]
        began = time.perf_counter()
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        if trouble:
            raise Unexpected(f"{type(trouble[0]).__name__}: {trouble[0]}")
        return sum(counts) / (time.perf_counter() - began)

    return turn
