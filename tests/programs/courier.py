"""
A real Courier: IMAP and POP3, in the clear with STARTTLS and over TLS, with users in userdb.

C{with running_courier(place, {"anna": "word"}) as courier:} gives C{courier.ports["imap"]} (and
C{imaps}, C{pop3}, C{pop3s}), C{courier.maildirs["anna"]} and C{courier.certificate}.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import attrs

from mailaccess.services.demo.certificate import ensure_certificate

from .running import until
from .unpacked import FILES, Unpacked, end, free_ports

_LOGIN = {
    "imap": "/usr/lib/courier/courier/imaplogin /usr/bin/imapd Maildir",
    "pop3": "/usr/lib/courier/courier/courierpop3login "
    "/usr/lib/courier/courier/courierpop3d Maildir",
}
_DAEMON = {"imap": "imapd", "pop3": "pop3d"}


@attrs.frozen
class Courier:
    """
    A running Courier.

    @ivar ports: of 127.0.0.1, by C{imap}, C{imaps}, C{pop3}, C{pop3s}
    @ivar users: passwords by name
    @ivar maildirs: by user
    @ivar certificate: what clients trust; it names C{localhost} and 127.0.0.1
    @ivar etc: what stands in C{/etc/courier}
    @ivar log: what it says
    """

    ports: Mapping[str, int]
    users: Mapping[str, str] = attrs.field(repr=False)
    maildirs: Mapping[str, Path]
    certificate: Path
    etc: Path
    log: Path


@contextmanager
def running_courier(
    place: Path, users: Mapping[str, str], *, settings: Mapping[str, str] | None = None
) -> Iterator[Courier]:
    """
    Run one until the block ends.

    @param place: an empty directory
    @param users: passwords by name; each has an empty Maildir with CRAM-MD5 and PLAIN logins
    @param settings: for imapd, imapd-ssl, pop3d and pop3d-ssl, over Debian's, such as
        C{IMAP_TLS_REQUIRED}
    """
    etc, run = place / "etc", place / "run"
    for path in (run / "courier" / "authdaemon", place / "homes"):
        path.mkdir(parents=True)
    shutil.copytree(FILES / "etc" / "courier", etc)
    certificate = place / "cert.pem"
    ensure_certificate(certificate, place / "key.pem", datetime.now(UTC))
    (place / "both.pem").write_text(certificate.read_text() + (place / "key.pem").read_text())
    (place / "both.pem").chmod(0o600)
    own = {
        "TLS_CERTFILE": place / "both.pem",
        "TLS_CACHEFILE": "",
        "TLS_DHPARAMS": "",
        "IMAP_ULIMITD": "",
    } | dict(settings or {})
    for name in ("imapd-ssl", "pop3d-ssl"):
        with (etc / name).open("a") as file:
            file.writelines(f'{key}="{value}"\n' for key, value in own.items())
    with (etc / "authdaemonrc").open("a") as file:
        file.write("authmodulelist=authuserdb\ndaemons=2\n")
    courier = Unpacked(place, {"/etc/courier": etc, "/run": run})
    courier.add_account("courier", os.getuid(), os.getgid())  # couriertls wants to become it
    maildirs = _write_users(courier, etc, users)
    listeners = ("imap", "imaps", "pop3", "pop3s")
    ports = dict(zip(listeners, free_ports(len(listeners)), strict=True))
    processes: list[subprocess.Popen[bytes]] = []
    try:
        rc = "set -a; . /etc/courier/authdaemonrc; exec"
        daemon = "/usr/lib/courier/courier-authlib/authdaemond"
        processes.append(courier.start("sh", "-c", f"{rc} {daemon}"))
        for listener, port in ports.items():
            processes.append(courier.start("sh", "-c", _script(listener, port)))
        courier.wait_for(processes, list(ports.values()))
        until((run / "courier" / "authdaemon" / "socket").exists)
        yield Courier(ports, users, maildirs, certificate, etc, courier.log)
    finally:
        for each in reversed(processes):
            end(each)


def _script(listener: str, port: int) -> str:
    """
    What Courier's own scripts run, without the logger that daemonises.
    """
    protocol, tls = listener.removesuffix("s"), listener.endswith("s")
    daemon = _DAEMON[protocol]
    upper = protocol.upper()
    over = f"{upper}_TLS=1" if tls else f"{upper}_STARTTLS=YES"
    wrapped = "$COURIERTLS -server -tcpd" if tls else ""
    return (
        f"set -a; . /etc/courier/{daemon}; . /etc/courier/{daemon}-ssl; {over}; "
        f"exec /usr/sbin/couriertcpd -address=127.0.0.1 -maxprocs=40 -maxperip=40 "
        f"-nodnslookup -noidentlookup {port} {wrapped} {_LOGIN[protocol]}"
    )


def _write_users(courier: Unpacked, etc: Path, users: Mapping[str, str]) -> dict[str, Path]:
    lines, maildirs = [], {}
    for name, password in users.items():
        home = courier.place / "homes" / name
        home.mkdir()
        maildirs[name] = home / "Maildir"
        courier.run("maildirmake.courier", maildirs[name])
        crypted = courier.run("openssl", "passwd", "-6", "-stdin", given=password.encode())
        hmac = courier.run("userdbpw", "-hmac-md5", given=password.encode() + b"\n")
        fields = {
            "uid": os.getuid(),
            "gid": os.getgid(),
            "home": home,
            "systempw": crypted.decode().strip(),
            "hmac-md5pw": hmac.decode().strip(),
        }
        lines.append(name + "\t" + "|".join(f"{key}={value}" for key, value in fields.items()))
    userdb = etc / "userdb"
    userdb.touch(0o600)
    userdb.write_text("".join(f"{line}\n" for line in lines))
    courier.run("makeuserdb")
    return maildirs
