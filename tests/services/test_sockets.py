"""
Opening ports, and saying why one cannot be opened.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from mailaccess.services import process
from mailaccess.services.settings import ListenerSettings, ServerSettings
from mailaccess.services.sockets import CannotListen, Inherited, bind


@pytest.fixture
def bound() -> Iterator[socket.socket]:
    made = bind("127.0.0.1", 0, "imap", 16)
    yield made
    made.close()


def test_connections_inherit_what_makes_them_quick(bound: socket.socket) -> None:
    """Without TCP_NODELAY a login over TLS stalls for 40 ms."""
    with socket.create_connection(bound.getsockname()):
        bound.setblocking(True)
        accepted, _ = bound.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_taken_port_is_reported_with_a_way_out(bound: socket.socket) -> None:
    port = bound.getsockname()[1]
    with pytest.raises(CannotListen) as caught:
        bind("127.0.0.1", port, "imaps (m.toml:3)", 16)
    text = str(caught.value)
    assert text.startswith(f"listener imaps (m.toml:3): cannot listen on 127.0.0.1 port {port}: ")
    assert "another program has it" in text
    assert f"sport = :{port}" in text
    assert "choose another port" in text


def test_an_address_of_another_machine_is_reported() -> None:
    with pytest.raises(CannotListen, match="does not have that address"):
        bind("192.0.2.77", 0, "imap", 16)


def test_both_families_may_have_one_port() -> None:
    first = bind("0.0.0.0", 0, "imap", 16)
    second = bind("::", first.getsockname()[1], "imap", 16)
    assert second.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    first.close()
    second.close()


def test_inherited_sockets_are_found_by_name_and_by_number(bound: socket.socket) -> None:
    inherited = Inherited([bound.fileno()], {"imap": bound.fileno()})
    for address in ("systemd:imap", "systemd:0"):
        with inherited.socket(address, "imap") as found:
            assert found.getsockname() == bound.getsockname()
            assert found.fileno() != bound.fileno()
            assert not found.getblocking()


def test_inherited_sockets_that_are_missing_are_reported(bound: socket.socket) -> None:
    inherited = Inherited([bound.fileno()], {"pop3": bound.fileno()})
    with pytest.raises(CannotListen, match=r"no socket 'imap' \(there are: pop3\).*imap"):
        inherited.socket("systemd:imap", "imap")
    with pytest.raises(CannotListen, match="no socket '7'"):
        inherited.socket("systemd:7", "imap")


def test_an_inherited_file_is_no_socket() -> None:
    read, write = os.pipe()
    try:
        with pytest.raises(CannotListen, match="is no socket"):
            Inherited([read]).socket("systemd:0", "imap")
    finally:
        os.close(read)
        os.close(write)


@pytest.mark.parametrize(
    ("uid", "addresses", "may"),
    [
        (1000, ("0.0.0.0", "::"), True),
        (0, ("127.0.0.1", "::1"), True),
        (0, ("127.0.0.1", "0.0.0.0"), False),
        (0, ("192.0.2.1",), False),
        (0, ("systemd:imap",), False),
    ],
)
def test_root_serves_nobody_but_this_machine(
    monkeypatch: pytest.MonkeyPatch, uid: int, addresses: tuple[str, ...], may: bool
) -> None:
    """AB-15."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    listeners = [ListenerSettings(protocol="imap", address=addresses)]
    if may:
        process.check_may_serve(listeners)
    else:
        with pytest.raises(process.MayNotRun, match=r"set user in \[server\]"):
            process.check_may_serve(listeners)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (ServerSettings(user="no-such-user"), "no such user"),
        (ServerSettings(user="root"), "root itself"),
        (ServerSettings(user="nobody", group="no-such-group"), "no such group"),
    ],
)
def test_nobody_becomes_somebody_unknown(
    monkeypatch: pytest.MonkeyPatch, settings: ServerSettings, said: str
) -> None:
    """PATH-05: what cannot be given up is an error, not ignored."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(process.MayNotRun, match=said):
        process.become(settings)


def test_who_is_not_root_stays_who_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    process.become(ServerSettings(user="no-such-user"))
