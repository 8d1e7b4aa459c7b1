"""
Stored passwords of every scheme.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailaccess.auth.passwords import (
    SCHEMES,
    BadHash,
    Limits,
    cost,
    dummy,
    is_cheap,
    make,
    needs_upgrade,
    verify,
)

CLEAR = Limits(clear_text=True)

# Made with "doveadm pw" of Dovecot 2.3.19.
DOVECOT = json.loads((Path(__file__).parent / "data" / "dovecot_hashes.json").read_text())

PUBLISHED = [
    # Drepper, "Unix crypt using SHA-256 and SHA-512", test vectors
    ("$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "Hello world!"),
    (
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35"
        "inz1",
        "Hello world!",
    ),
    (
        "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHB"
        "y/YTBmSK6H9qs/y3RnOaw5v.",
        "Hello world!",
    ),
    # crypt_blowfish, wrapper.c
    ("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"),
    # phc-winner-argon2, test.c
    (
        "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
        "password",
    ),
    (
        "{CRYPT}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "password",
    ),
    # RFC 6070, 4096 rounds
    ("{PBKDF2}$1$salt$4096$4b007901b765489abead49d926f721d065a429c1", "password"),
    # FIPS 180-2, "abc"
    ("{SHA}qZk+NkcGgWq6PiVxeFDCbJzQ2J0=", "abc"),
    ("{SHA256.hex}BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", "abc"),
    # RFC 1321, "abc", as a directory writes it
    ("{MD5}kAFQmDzST7DWlj99KOF/cg==", "abc"),
    # libxcrypt 4.4
    ("$y$j75$saltsalt$mJx7paSMO682Nhq.KeGb9174XZH5WJxGFgQ9ilWB81C", "tanstaaf"),
    ("{CRYPT}$gy$j75$saltsalt$63cuXLd2mwr9uzU9h6oblOShLWr6TdFz19TjJhhfFY9", "tanstaaf"),
]


@pytest.mark.parametrize(("stored", "password"), [*DOVECOT, *PUBLISHED])
def test_hashes_made_by_others_are_understood(stored: str, password: str) -> None:
    """AUTH-02, AUTH-03"""
    secret = password.encode()
    assert verify(stored, secret, CLEAR)
    assert not verify(stored, secret[:-1], CLEAR)
    assert not verify(stored, b"x" + secret, CLEAR)


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_each_scheme_verifies_what_it_makes(scheme: str) -> None:
    stored = make(scheme, b"schl\xc3\xbcssel %{u}")
    assert stored.startswith("{" + scheme + "}")
    assert verify(stored, b"schl\xc3\xbcssel %{u}", CLEAR)
    assert not verify(stored, b"schl\xc3\xbcssel %{U}", CLEAR)


@pytest.mark.parametrize("stored", [each for each, _ in [*DOVECOT, *PUBLISHED]])
def test_a_dummy_costs_as_much_and_lets_nobody_in(stored: str) -> None:
    """AUTH-05"""
    stand_in = dummy(stored)
    assert stand_in != stored
    assert cost(stand_in, CLEAR) == cost(stored, CLEAR)
    assert is_cheap(stand_in) == is_cheap(stored)
    assert not verify(stand_in, b"password", CLEAR)
    assert dummy(stored) != stand_in


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_a_dummy_can_be_had_without_an_example(scheme: str) -> None:
    """AUTH-05"""
    stand_in = dummy(scheme)
    assert cost(stand_in, CLEAR) == cost(make(scheme, b"pw"), CLEAR)
    assert not verify(stand_in, b"pw", CLEAR)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "hunter2",
        "{}x",
        "{NOSUCH}x",
        "{SHA.rot13}x",
        "{SHA}not base64!",
        "{SHA}qZk+NkcGgWq6PiVxeFDCbJzQ2J0",
        "{SHA}qZk+",
        "{SSHA}qZk+",
        "{SHA.hex}zz",
        "{SHA.hex}a9 99",
        "{SHA256}\u00e9",
        "{PBKDF2}$1$salt$0$4b007901b765489abead49d926f721d065a429c1",
        "{PBKDF2}$1$salt$4096$4b00",
        "{PBKDF2}x",
        "{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ",
        "{ARGON2ID}$argon2id$v=19$m=8,t=2,p=16$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2x$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$2y$05$tooshort",
        "$2y$99$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$6$salt$short",
        "$6$salt$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
        "{SHA512-CRYPT}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
        "{MD5-CRYPT}$1$",
        "{CRYPT}*0",
        "{CRYPT}!",
        "{CRYPT}",
        "$7$x",
        "$",
        "{PLAIN}hunter2",
        "{CLEAR}",
        "$6$" + "x" * 5000,
    ],
)
def test_a_malformed_hash_is_nobodys_password(stored: str) -> None:
    """AUTH-02: and what is said of it holds no secret."""
    with pytest.raises(BadHash) as caught:
        verify(stored, b"hunter2")
    assert "hunter2" not in str(caught.value)


@given(
    st.one_of(
        st.text(max_size=60),
        st.tuples(st.sampled_from([f"{{{each}}}" for each in sorted(SCHEMES)]), st.text()).map(
            "".join
        ),
        st.tuples(
            st.sampled_from(
                ["$1$", "$2y$05$", "$5$", "$6$", "$y$j75$", "{PBKDF2}$1$", "$argon2id$"]
            ),
            st.text(alphabet="abc./$=,019\0\n é", max_size=40),
        ).map("".join),
    ),
    st.binary(max_size=40),
)
@example("{SHA}" + "A" * 28, b"")
def test_no_hash_in_a_file_can_do_more_than_be_bad(stored: str, secret: bytes) -> None:
    """AUTH-02"""
    for call in (
        lambda: verify(stored, secret),
        lambda: dummy(stored),
        lambda: needs_upgrade(stored),
    ):
        with suppress(BadHash):
            call()
    assert is_cheap(stored) in (True, False)


@pytest.mark.parametrize(
    "stored",
    [
        "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=300000,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=65536,t=999,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=65536,t=2,p=99$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$2y$15$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "{PBKDF2}$1$salt$2000001$4b007901b765489abead49d926f721d065a429c1",
        "$5$rounds=99999999$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
        "$y$jFT$saltsalt$" + "a" * 43,
        "$y$j.Z$saltsalt$" + "a" * 44,
    ],
)
def test_a_hash_that_costs_too_much_is_not_computed(stored: str) -> None:
    """AUTH-03"""
    with pytest.raises(BadHash):
        verify(stored, b"x")


def test_the_ceilings_can_be_moved() -> None:
    """AUTH-03"""
    stored = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
    assert verify(stored, b"U*U", Limits(bcrypt_cost=5))
    with pytest.raises(BadHash):
        verify(stored, b"U*U", Limits(bcrypt_cost=4))


def test_bcrypt_compares_72_octets_and_makes_no_hash_of_more() -> None:
    """AUTH-03: Dovecot and htpasswd make such hashes."""
    stored = make("BLF-CRYPT", b"p" * 72)
    assert verify(stored, b"p" * 72)
    assert verify(stored, b"p" * 1024)
    assert not verify(stored, b"p" * 71)
    with pytest.raises(ValueError, match="72"):
        make("BLF-CRYPT", b"p" * 73)


def test_crypt_gives_no_shorter_password_for_nul_or_length() -> None:
    """AUTH-01, AUTH-03"""
    stored = "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"
    assert not verify(stored, b"Hello world!\0")
    assert not verify(stored, b"x" * 1024)
    assert not verify(make("SHA512-CRYPT", b"x"), b"x" * 1024)
    long = make("SHA512-CRYPT", b"y" * 511)
    assert verify(long, b"y" * 511)
    assert not verify(long, b"y" * 512)
    for secret in (b"a\0b", b"x" * 512):
        with pytest.raises(ValueError, match="crypt"):
            make("SHA512-CRYPT", secret)


def test_crypt_is_right_in_many_threads_at_once() -> None:
    """AUTH-02"""
    stored = [(make("MD5-CRYPT", b"%d" % each), b"%d" % each) for each in range(20)]
    with ThreadPoolExecutor(4) as threads:
        right = threads.map(lambda pair: verify(*pair), stored * 5)
        wrong = threads.map(lambda pair: verify(pair[0], b"no"), stored * 5)
        assert all(right)
        assert not any(wrong)


def test_only_microseconds_are_called_cheap() -> None:
    """AUTH-02: all others go to a thread."""
    cheap = {name for name in SCHEMES if is_cheap(dummy(name))}
    assert cheap == {
        *("SHA", "SHA1", "SHA256", "SHA512", "SSHA", "SSHA256", "SSHA512"),
        *("SMD5", "LDAP-MD5", "PLAIN-MD5", "PLAIN", "CLEAR", "CLEARTEXT"),
    }


def test_weaker_hashes_want_an_upgrade() -> None:
    for strong in ("ARGON2ID", "BLF-CRYPT", "SHA512-CRYPT", "PBKDF2"):
        assert not needs_upgrade(dummy(strong))
    for weak in ("SSHA512", "MD5-CRYPT", "PLAIN", "ARGON2I"):
        assert needs_upgrade(dummy(weak))
    for stored, _ in PUBLISHED[:4]:
        assert needs_upgrade(stored)
    assert not needs_upgrade("$y$j9T$saltsalt$" + "a" * 43)


def test_upper_and_lower_case_of_a_scheme_are_the_same() -> None:
    assert verify("{sha}qZk+NkcGgWq6PiVxeFDCbJzQ2J0=", b"abc")
    assert verify("{Bcrypt}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", b"U*U")
