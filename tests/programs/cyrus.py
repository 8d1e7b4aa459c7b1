"""
A real Cyrus: IMAP and POP3, in the clear with STARTTLS and over TLS, with users in sasldb.

C{with running_cyrus(place, {"anna": "word"}) as cyrus:} gives C{cyrus.ports["imap"]} (and C{imaps},
C{pop3}, C{pop3s}) and C{cyrus.certificate}; each user has an INBOX, C{cyrus.admin} may do all.
"""

from __future__ import annotations

import imaplib
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import attrs

from mailaccess.services.demo.certificate import ensure_certificate

from .unpacked import Unpacked, end, free_ports

_ADMIN = ("cyradm", "Verwalter-Wort-1")
_UID = 64107  # Cyrus does not run as root; nobody else has this number


@attrs.frozen
class Cyrus:
    """
    A running Cyrus.

    @ivar ports: of 127.0.0.1, by C{imap}, C{imaps}, C{pop3}, C{pop3s}
    @ivar users: passwords by name
    @ivar admin: name and password of somebody who may create mailboxes such as C{user/anna}
    @ivar certificate: what clients trust; it names C{localhost} and 127.0.0.1
    @ivar conf: imapd.conf; cyrus.conf is beside it
    """

    ports: Mapping[str, int]
    users: Mapping[str, str] = attrs.field(repr=False)
    admin: tuple[str, str] = attrs.field(repr=False)
    certificate: Path
    conf: Path


@contextmanager
def running_cyrus(
    place: Path, users: Mapping[str, str], *, settings: Mapping[str, str] | None = None
) -> Iterator[Cyrus]:
    """
    Run one until the block ends.

    @param place: an empty directory, short enough for unix sockets in it
    @param users: passwords by name; each has an empty INBOX
    @param settings: for imapd.conf, over ours, such as C{allowplaintext}
    """
    root = os.geteuid() == 0
    uid = _UID if root else os.geteuid()
    home = place / "cyrus"
    for name in ("config", "spool", "run", "sieve"):
        (home / name).mkdir(parents=True)
    certificate = place / "cert.pem"
    ensure_certificate(certificate, place / "key.pem", datetime.now(UTC))
    shutil.copy(certificate, home / "cert.pem")
    shutil.copy(place / "key.pem", home / "key.pem")
    listeners = ("imap", "imaps", "pop3", "pop3s")
    ports = dict(zip(listeners, free_ports(len(listeners)), strict=True))
    conf = _write_conf(home, ports, dict(settings or {}))
    cyrus = Unpacked(place, {})
    cyrus.add_account("cyrus", uid, uid)
    for name, password in (*users.items(), _ADMIN):
        cyrus.run(
            *("saslpasswd2", "-c", "-p", "-u", "test", "-f", home / "sasldb", name),
            given=password.encode(),
        )
    if root:
        place.chmod(0o711)
        for path in (home, *home.rglob("*")):
            os.chown(path, uid, uid)
    become = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups") if root else ()
    master = ("/usr/lib/cyrus/bin/master", "-C", conf, "-M", home / "cyrus.conf")
    processes: list[subprocess.Popen[bytes]] = []
    try:
        processes.append(cyrus.start(*become, *master, "-p", home / "run" / "pid"))
        cyrus.wait_for(processes, list(ports.values()))
        running = Cyrus(ports, users, _ADMIN, certificate, conf)
        _create_mailboxes(running)
        yield running
    finally:
        for each in processes:
            end(each)


def _write_conf(home: Path, ports: Mapping[str, int], settings: Mapping[str, str]) -> Path:
    options = {
        "configdirectory": home / "config",
        "defaultpartition": "default",
        "partition-default": home / "spool",
        "sievedir": home / "sieve",
        "proc_path": home / "run" / "proc",
        "mboxname_lockpath": home / "run" / "lock",
        "admins": _ADMIN[0],
        "defaultdomain": "test",
        "servername": "test",
        "allowplaintext": "no",
        "popminpoll": "0",
        "sasl_pwcheck_method": "auxprop",
        "sasl_auxprop_plugin": "sasldb",
        "sasl_sasldb_path": home / "sasldb",
        "sasl_mech_list": "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256",
        "tls_server_cert": home / "cert.pem",
        "tls_server_key": home / "key.pem",
        "tls_session_timeout": "0",
        "cyrus_user": "cyrus",
    } | settings
    conf = home / "imapd.conf"
    conf.write_text("".join(f"{key}: {value}\n" for key, value in options.items()))
    program = {"imap": "imapd", "imaps": "imapd -s", "pop3": "pop3d", "pop3s": "pop3d -s"}
    services = "".join(
        f'  {name} cmd="{program[name]} -C {conf}" listen="127.0.0.1:{port}" prefork=0\n'
        for name, port in ports.items()
    )
    (home / "cyrus.conf").write_text(
        f'START {{\n  recover cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -C {conf} -r"\n}}\n'
        f"SERVICES {{\n{services}}}\nEVENTS {{\n}}\n"
    )
    return conf


def _create_mailboxes(cyrus: Cyrus) -> None:
    context = ssl.create_default_context(cafile=str(cyrus.certificate))
    client = imaplib.IMAP4_SSL("localhost", cyrus.ports["imaps"], ssl_context=context)
    client.login(*cyrus.admin)
    for name in cyrus.users:
        assert client.create(f"user/{name}")[0] == "OK"
    client.logout()
