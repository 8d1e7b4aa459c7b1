"""
Several sources in order.
"""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError

from mailaccess.auth.chain import CheckerChain, Entry
from mailaccess.errors import (
    AuthenticationFailed,
    ContactAdmin,
    DirectoryUnavailable,
    PasswordExpired,
)

from .doubles import People, outcome

FAULTS = (DirectoryUnavailable(detail="down"), RuntimeError("boom"), OSError(5, "x"))


def two() -> tuple[People, People]:
    first = People({"amy": (b"new", {"cleartext": "refuse"})}, "first")
    second = People({"amy": (b"stale", {}), "bob": (b"pw", {"home": "/b"})}, "second")
    return first, second


def test_sources_are_asked_in_order() -> None:
    first, second = two()
    chain = CheckerChain([first, second])
    assert outcome(chain.check("amy", b"new", "imap")).source == "first"
    assert second.checked == []
    assert outcome(chain.check("bob", b"pw", "imap")).source == "second"
    with pytest.raises(AuthenticationFailed):
        outcome(chain.check("bob", b"no", "imap"))


def test_a_failure_tells_what_each_source_said() -> None:
    """LD-11: for the log; that nobody knew it helps nobody."""
    first, second = two()
    first.failure = AuthenticationFailed(detail="first: 'amy': result 49")
    with pytest.raises(AuthenticationFailed) as caught:
        outcome(CheckerChain([first, second]).check("amy", b"wrong", "imap"))
    assert caught.value.detail == "first: 'amy': result 49; no"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_source_that_breaks_does_not_open_the_way_to_a_stale_password(fault: Exception) -> None:
    """AUTH-04"""
    first, second = two()
    first.failure = fault
    with pytest.raises(DirectoryUnavailable):
        outcome(CheckerChain([first, second]).check("amy", b"stale", "imap"))
    assert second.checked == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_source_may_be_passed_over_where_that_is_configured(fault: Exception) -> None:
    """AUTH-04: but a wrong password is then not known to be wrong."""
    first, second = two()
    first.failure = fault
    chain = CheckerChain([Entry(first, on_error="continue"), second])
    assert outcome(chain.check("bob", b"pw", "imap")).name == "bob"
    with pytest.raises(DirectoryUnavailable):
        outcome(chain.check("bob", b"wrong", "imap"))


@pytest.mark.parametrize("refused", [ContactAdmin(), PasswordExpired()])
def test_a_locked_account_is_not_looked_for_elsewhere(refused: Exception) -> None:
    """AUTH-04, AUTH-11"""
    first, second = two()
    first.failure = refused
    for on_error in ("stop", "continue"):
        with pytest.raises(type(refused)):
            outcome(CheckerChain([Entry(first, on_error), second]).check("amy", b"stale", "imap"))
    assert second.checked == []


def test_a_login_given_up_is_given_up() -> None:
    """AB-12"""
    first, second = two()
    first.failure = CancelledError()
    with pytest.raises(CancelledError):
        outcome(CheckerChain([Entry(first, "continue"), second]).check("bob", b"pw", "imap"))
    assert second.checked == []


def test_the_first_that_knows_a_name_says_what_holds_for_it() -> None:
    """POL-04"""
    chain = CheckerChain(list(two()))
    assert outcome(chain.attributes("amy")) == {"cleartext": "refuse"}
    assert outcome(chain.attributes("bob")) == {"home": "/b"}
    assert outcome(chain.attributes("nobody")) is None


def test_a_source_that_breaks_cannot_hide_a_rule() -> None:
    """POL-04, AUTH-04"""
    first, second = two()
    first.unknowable = RuntimeError("boom")
    with pytest.raises(DirectoryUnavailable):
        outcome(CheckerChain([first, second]).attributes("bob"))
    lenient = CheckerChain([Entry(first, "continue"), second])
    assert outcome(lenient.attributes("bob")) == {"home": "/b"}
    with pytest.raises(DirectoryUnavailable):
        outcome(lenient.attributes("carl"))


def test_two_sources_with_equal_settings_stay_two() -> None:
    """AUTH-21"""
    first, second = People({}, "same"), People({"amy": (b"pw", {})}, "same")
    assert outcome(CheckerChain([first, second]).check("amy", b"pw", "imap")).name == "amy"


def test_a_chain_may_be_a_link_of_a_chain() -> None:
    inner = CheckerChain([two()[1]])
    assert outcome(CheckerChain([two()[0], inner]).check("bob", b"pw", "imap")).source == "second"


def test_on_error_is_one_of_two_words() -> None:
    with pytest.raises(ValueError, match="on_error"):
        Entry(People({}), on_error="ignore")
