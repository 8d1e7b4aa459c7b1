"""
Dovecot, if the machine has it: an instance of its own, set up for speed as its documentation says.

Log-in processes serve many connections each (the high-performance mode of its manual), mail
processes are reused, some of each wait ready, and what the password file said is cached.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from .ours import PASSWORD, Server, certificate
from .process import DidNotStart, Process, free_port, until

PROGRAM = shutil.which("dovecot", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

_CONFIGURATION = """\
base_dir = {place}/run
state_dir = {place}/state
log_path = {place}/log
protocols = imap
listen = 127.0.0.1
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
default_process_limit = 2000
default_client_limit = 20000
default_vsz_limit = 4G
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{certificate}
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_cache_size = 10M
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {place}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={place}/mail/%u
}}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~
mail_max_userip_connections = 0
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  service_count = 0
  process_min_avail = 2
  client_limit = 10000
  chroot =
  inet_listener imap {{
    port = {plain}
  }}
  inet_listener imaps {{
    port = {tls}
    ssl = yes
  }}
}}
service imap {{
  service_count = 1000
  process_min_avail = 4
}}
service anvil {{
  chroot =
}}
"""


def version() -> str:
    """
    Its name and version; empty if it is not installed.
    """
    if PROGRAM is None:
        return ""
    found = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=False)
    return "Dovecot " + found.stdout.split(" ")[0].strip()


@contextlib.contextmanager
def serve(place: Path, users: Sequence[str], more: str = "") -> Iterator[Server | None]:
    """
    As L{ours.serve<benchmarks.ours.serve>}; None where there is no Dovecot.

    @param more: lines for its configuration, which count more than those above
    """
    if PROGRAM is None:
        yield None
        return
    place.mkdir(parents=True, exist_ok=True)
    mail = place / "mail"
    mail.mkdir(exist_ok=True)
    internal, login = _identities()
    belongs = owner()
    for path in (place, mail):
        os.chown(path, belongs.pw_uid, belongs.pw_gid)
        path.chmod(0o755)
    (place / "users").write_text("".join(f"{user}:{PASSWORD}\n" for user in users))
    plain, tls = free_port(), free_port()
    configuration = place / "dovecot.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            place=place,
            certificate=certificate(place / "mail.pem"),
            internal=internal,
            internal_group=grp.getgrgid(pwd.getpwnam(internal).pw_gid).gr_name,
            login=login,
            uid=belongs.pw_uid,
            gid=belongs.pw_gid,
            plain=plain,
            tls=tls,
        )
        + more
    )
    process = Process([PROGRAM, "-F", "-c", str(configuration)], place / "output")

    def greeted() -> bool | None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", plain), 5) as it:
            return it.recv(1000).startswith(b"* OK") or None
        return None

    try:
        until(greeted, process)
        yield Server(process, mail, plain, tls)
    except DidNotStart as error:
        log = place / "log"
        raise DidNotStart(f"{error}{log.read_text() if log.exists() else ''}") from None
    finally:
        process.stop()


def owner() -> pwd.struct_passwd:
    """
    The user that mail belongs to: ourselves unless we are root, as which it serves nobody.
    """
    me = pwd.getpwuid(os.getuid())
    return _first_of("mail", "nobody") if me.pw_uid == 0 else me


def _identities() -> tuple[str, str]:
    """
    Users for its own parts, and for those that talk to strangers.
    """
    me = pwd.getpwuid(os.getuid())
    if me.pw_uid != 0:
        return me.pw_name, me.pw_name
    return _first_of("dovecot", "nobody").pw_name, _first_of("dovenull", "nobody").pw_name


def _first_of(*names: str) -> pwd.struct_passwd:
    for name in names:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return pwd.getpwuid(os.getuid())
