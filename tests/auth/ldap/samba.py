"""
A real domain controller for Active Directory (Samba), private to the tests: its own address of the
loopback network, its own certificates. Only its LDAP service runs.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import ldap3

from .slapd import PATIENCE, Authority, program

ADDRESS = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
"""
LDAP of Samba has fixed ports, so it needs an address of its own, also beside the Samba of another
run of the tests, and root.
"""

NAME = "dc1.corp.example"
BASE = "dc=corp,dc=example"
USERS = f"cn=Users,{BASE}"
ADMIN = f"cn=Administrator,{USERS}"
READER = f"cn=reader,{USERS}"
ADMIN_SECRET = "Admin-Geheim-1"
READER_SECRET = "Leser-Geheim-2"
SECRET = "Amys-Wort-3"
THRESHOLD = 5
"""Wrong passwords that lock an account."""

_LDAP_PORT = 389

# Runs in the Python that Samba's own modules are for.
_FILL = """\
import sys
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB
import ldb

configuration, secret, reader, threshold = sys.argv[1:]
lp = LoadParm()
lp.load(configuration)
sam = SamDB(lp=lp, session_info=system_session())
base = sam.domain_dn()
sam.transaction_start()
sam.newuser("reader", reader, setpassword=True)
sam.setexpiry("(samAccountName=reader)", 0, no_expiry_req=True)
for name in ("amy", "bert", "carl", "off", "old", "must", "locked", "guarded"):
    sam.newuser(name, secret, mailaddress=name + "@corp.example")
sam.newuser("jm", secret, givenname="Jörg", surname="Müller, (jm)", useusernameascn=False)
sam.disable_account("(samAccountName=off)")
sam.setexpiry("(samAccountName=old)", -3600)
sam.force_password_change_at_next_login("(samAccountName=must)")
for group in ("Mail Users", "Staff", "Berlin"):
    sam.newgroup(group)
sam.rename(f"cn=Staff,cn=Users,{base}", f"cn=Staff\\\\, (all),cn=Users,{base}")
sam.add_remove_group_members("Mail Users", ["Staff", "carl"])
sam.add_remove_group_members("Staff", ["Berlin"])
sam.add_remove_group_members("Berlin", ["amy", "jm"])
change = ldb.Message(ldb.Dn(sam, base))
change["t"] = ldb.MessageElement(threshold, ldb.FLAG_MOD_REPLACE, "lockoutThreshold")
sam.modify(change)
sam.transaction_commit()
"""


@attrs.define(eq=False)
class Samba:
    """
    One domain controller.
    """

    directory: Path
    ca: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"ldap://{ADDRESS}"

    @property
    def tls_uri(self) -> str:
        return f"ldaps://{ADDRESS}"

    @property
    def configuration(self) -> Path:
        return self.directory / "state" / "etc" / "smb.conf"

    def provision(self) -> None:
        """
        Make the domain and its people.
        """
        self._run(
            *(program("samba-tool"), "domain", "provision", "--realm=CORP.EXAMPLE"),
            *("--domain=CORP", "--server-role=dc", "--dns-backend=NONE", "--host-name=dc1"),
            *(f"--adminpass={ADMIN_SECRET}", f"--host-ip={ADDRESS}"),
            f"--targetdir={self.directory / 'state'}",
            f"--option=interfaces={ADDRESS}/8",
            "--option=bind interfaces only=yes",
        )
        # Whatever Python the tests run with, Samba's modules are for the system's.
        script = ["/usr/bin/python3", "-c", _FILL, str(self.configuration)]
        self._run(*script, SECRET, READER_SECRET, str(THRESHOLD))

    def _run(self, *command: str) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        kept.pop("LD_LIBRARY_PATH", None)
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=kept | {"HOME": str(self.directory)},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, (done.stdout + done.stderr).decode()

    def start(self, certificate: Path) -> None:
        """
        Run it; returns when it answers.

        @param certificate: key and certificate in one file
        """
        log = self.directory / "log"
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [
                    program("samba"),
                    *("-F", "--no-process-group", "-M", "single", "-s", str(self.configuration)),
                    "--option=server services=ldap",
                    "--option=logging=file",
                    f"--option=log file={self.directory / 'samba.log'}",
                    f"--option=pid directory={self.directory}",
                    f"--option=tls certfile={certificate}",
                    f"--option=tls keyfile={certificate}",
                    f"--option=tls cafile={self.ca}",
                    # Otherwise the password before the last change is good for an hour more.
                    "--option=old password allowed period=0",
                ],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"},
            )
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection((ADDRESS, _LDAP_PORT), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, log.read_text()
                assert time.monotonic() < end
                time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def admin(self) -> ldap3.Connection:
        """
        A connection that may do everything.
        """
        tls = ldap3.Tls(ca_certs_file=str(self.ca))
        server = ldap3.Server(self.tls_uri, tls=tls, get_info=ldap3.NONE)
        made = ldap3.Connection(server, ADMIN, ADMIN_SECRET, auto_bind=True, check_names=False)
        assert isinstance(made, ldap3.Connection)
        return made

    def read(self, name: str, attribute: str) -> str:
        """
        One value of somebody.
        """
        connection = self.admin()
        connection.search(BASE, f"(sAMAccountName={name})", attributes=[attribute])
        found = [each for each in connection.response if each["type"] == "searchResEntry"]
        values = found[0]["attributes"].get(attribute)
        connection.unbind()
        return str(values[0] if isinstance(values, list) and values else values)

    def set_password(self, name: str, secret: str) -> None:
        """
        As an administrator does.
        """
        connection = self.admin()
        raw = f'"{secret}"'.encode("utf-16-le")
        change = {"unicodePwd": [(ldap3.MODIFY_REPLACE, [raw])]}
        assert connection.modify(f"cn={name},{USERS}", change), connection.result
        connection.unbind()


def running(directory: Path, authority: Authority) -> Iterator[Samba]:
    """
    A domain controller for the time of a fixture.
    """
    directory.mkdir(parents=True)
    certificate = authority.write(directory / "dc1.pem", NAME, NAME, ADDRESS)
    samba = Samba(directory, authority.write_ca(directory / "ca.pem"))
    samba.provision()
    samba.start(certificate)
    try:
        yield samba
    finally:
        samba.stop()
        shutil.rmtree(directory)
