"""
Delays for wrong logins, and limits on connections.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from mailaccess.auth.connections import Allowance, Connections, Lease
from mailaccess.auth.throttle import Throttle, address_group
from mailaccess.errors import TooManyConnections

HOME, EVIL = "192.0.2.1", "198.51.100.7"


def test_delays_grow_from_2_to_15_seconds() -> None:
    """AUTH-07"""
    throttle = Throttle(Clock())
    assert throttle.delay_for(EVIL, "amy") == 0
    assert [throttle.failed(EVIL, "amy") for _ in range(6)] == [2, 4, 8, 15, 15, 15]
    assert throttle.delay_for(EVIL, "amy") == 15


def test_a_delay_follows_the_address_whatever_the_name() -> None:
    """AUTH-07: trying one password on many names is slow too."""
    throttle = Throttle(Clock())
    assert [throttle.failed(EVIL, f"user{each}") for each in range(4)] == [2, 4, 8, 15]
    assert throttle.failed(HOME, "amy") == 2


def test_an_attacker_from_many_addresses_is_slow_on_one_name_but_not_the_owner() -> None:
    """AUTH-07"""
    throttle = Throttle(Clock())
    throttle.succeeded(HOME, "amy")
    delays = [throttle.failed(f"203.0.113.{each}", "amy") for each in range(20)]
    assert delays[0] == 2
    assert delays[-1] == 15
    assert throttle.delay_for(HOME, "amy") == 0
    assert throttle.failed(HOME, "amy") == 2
    assert throttle.failed("203.0.113.99", "bob") == 2


def test_a_success_resets_its_own_address_only() -> None:
    """AUTH-07: an attacker with an account of his own cannot clean his slate elsewhere."""
    throttle = Throttle(Clock())
    for _ in range(4):
        throttle.failed(HOME, "amy")
        throttle.failed(EVIL, "amy")
    throttle.succeeded(HOME, "amy")
    assert throttle.delay_for(HOME, "amy") == 0
    assert throttle.failed(EVIL, "amy") == 15


def test_who_hangs_up_instead_of_waiting_gains_nothing() -> None:
    """AUTH-07: the next attempt is held back until the answer would have been given."""
    clock = Clock()
    throttle = Throttle(clock)
    assert throttle.held(EVIL, "amy") == 0
    assert throttle.failed(EVIL, "amy") == 2
    assert throttle.held(EVIL, "amy") == throttle.held(EVIL, "bob") == 2
    assert throttle.held(HOME, "amy") == 0
    clock.advance(1.5)
    assert throttle.held(EVIL, "bob") == 0.5
    clock.advance(0.5)
    assert throttle.held(EVIL, "amy") == 0
    for _ in range(10):
        throttle.failed(EVIL, "amy")
    assert throttle.held(EVIL, "amy") == 15


def test_a_neighbour_who_guesses_does_not_hold_up_who_has_been_here_before() -> None:
    """AUTH-07: behind one address; but guesses at that very name from there are slow as well."""
    throttle = Throttle(Clock())
    throttle.succeeded(HOME, "amy")
    for each in range(10):
        throttle.failed(HOME, f"user{each}")
    assert throttle.held(HOME, "amy") == 0
    assert throttle.held(HOME, "bob") == 15
    held = []
    for _ in range(8):
        throttle.failed(HOME, "amy")
        held.append(throttle.held(HOME, "amy"))
    assert held == [0, 0, 0, 2, 4, 8, 15, 15]
    throttle.succeeded(HOME, "amy")
    assert throttle.held(HOME, "amy") == 0


def test_failures_are_forgotten_in_time() -> None:
    clock = Clock()
    throttle = Throttle(clock, memory=900)
    throttle.failed(EVIL, "amy")
    throttle.failed(EVIL, "amy")
    clock.advance(901)
    assert throttle.delay_for(EVIL, "amy") == 0
    assert throttle.failed(EVIL, "amy") == 2


def test_a_network_of_ipv6_is_one_client() -> None:
    """AUTH-07, AB-01"""
    throttle = Throttle(Clock())
    assert throttle.failed("2001:db8::1", "a") == 2
    assert throttle.failed("2001:db8::ffff:2", "b") == 4
    assert throttle.failed("2001:db8:0:1::1", "c") == 2
    assert address_group("::ffff:192.0.2.1") == address_group("192.0.2.1")
    assert address_group("fe80::1%eth0") == address_group("fe80::2")
    assert address_group("") == ""


def test_a_name_that_can_be_nobodys_is_counted_for_the_address_only() -> None:
    throttle = Throttle(Clock())
    for each in range(20):
        throttle.failed(f"203.0.113.{each}", "")
    assert throttle.failed("203.0.113.99", "") == 2


def test_memory_is_bounded() -> None:
    """AUTH-07, AB-13"""
    throttle = Throttle(Clock(), size=10)
    for each in range(1000):
        throttle.failed(f"10.0.{each // 250}.{each % 250}", f"user{each}")
        throttle.succeeded(f"10.1.{each // 250}.{each % 250}", f"user{each}")
        for _ in range(2):
            throttle.succeeded(f"10.2.0.{each % 250}", "amy")
    tables = (throttle._addresses, throttle._names, throttle._good)
    assert [len(each) <= 10 for each in tables] == [True] * 3
    assert len(throttle._good.get("amy") or ()) <= 8


def test_the_most_recent_are_kept() -> None:
    throttle = Throttle(Clock(), size=3)
    for each in range(30):
        throttle.failed(EVIL, "")
        throttle.failed(f"10.0.0.{each}", "")
        throttle.failed(f"10.0.1.{each}", "")
    assert throttle.failed(EVIL, "") == 15


def test_one_address_may_have_so_many_that_are_not_logged_in() -> None:
    """AB-01"""
    connections = Connections(Allowance(before_login=3))
    leases = [connections.enter(EVIL) for _ in range(3)]
    with pytest.raises(TooManyConnections):
        connections.enter(EVIL)
    connections.enter(HOME)
    leases[0].release()
    leases[1].authenticated("amy")
    connections.enter(EVIL)
    connections.enter(EVIL)
    with pytest.raises(TooManyConnections):
        connections.enter(EVIL)


def test_one_user_may_have_so_many() -> None:
    """AB-01"""
    connections = Connections(Allowance(user=3, user_address=2))
    leases = [connections.enter(HOME) for _ in range(3)]
    leases[0].authenticated("amy")
    leases[1].authenticated("amy")
    with pytest.raises(TooManyConnections):
        leases[2].authenticated("amy")
    leases[2].authenticated("bob")
    elsewhere = connections.enter(EVIL)
    elsewhere.authenticated("amy")
    another = connections.enter("192.0.2.99")
    with pytest.raises(TooManyConnections):
        another.authenticated("amy")
    leases[0].release()
    another.authenticated("amy")


def test_the_last_places_are_for_those_who_are_alone() -> None:
    """AB-01"""
    connections = Connections(Allowance(total=10, reserve=0.2))
    for _ in range(8):
        connections.enter(EVIL)
    with pytest.raises(TooManyConnections):
        connections.enter(EVIL)
    connections.enter(HOME)
    connections.enter("192.0.2.2")
    with pytest.raises(TooManyConnections):
        connections.enter("192.0.2.3")


def test_zero_is_no_limit() -> None:
    connections = Connections(Allowance(before_login=0, user=0, user_address=0))
    leases = [connections.enter(HOME) for _ in range(100)]
    for each in leases:
        each.authenticated("amy")
    assert connections.total == 100


@given(
    st.lists(
        st.tuples(st.sampled_from(["enter", "in", "back", "out"]), st.integers(0, 9)), max_size=60
    )
)
def test_no_count_stays_behind(moves: list[tuple[str, int]]) -> None:
    """AB-01: released on every way out, twice or not, whatever was refused before."""
    connections = Connections(Allowance(before_login=3, user=2, user_address=2))
    leases: list[Lease] = []
    for move, number in moves:
        try:
            if move == "enter":
                leases.append(connections.enter(f"10.0.0.{number % 3}"))
            elif leases and move == "in":
                leases[number % len(leases)].authenticated(f"user{number % 2}")
            elif leases and move == "back":
                leases[number % len(leases)].withdraw()
            elif leases:
                leases[number % len(leases)].release()
        except TooManyConnections:
            continue
    for each in leases:
        each.release()
        each.release()
    assert connections.total == 0
    assert connections.counted() == 0
