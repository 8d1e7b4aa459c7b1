"""
Ask an installed Dovecot for ENVELOPE and BODYSTRUCTURE of every message in
L{tests.message.agreement}, and keep its answers in C{tests/data/structures.json}. Run by hand, as
root, when messages are added::

    python -m tests.message.make_golden
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.message.agreement import GOLDEN, everything

CONFIGURATION = """
base_dir={home}/run
state_dir={home}/run
log_path={home}/log
mail_location=maildir:{home}/mail
protocols=imap
ssl=no
disable_plaintext_auth=no
passdb {{
  driver=static
  args=nopassword=y
}}
userdb {{
  driver=static
  args=uid=nobody gid=nogroup home={home}/mail
}}
first_valid_uid=1
service imap-login {{
  inet_listener imap {{
    address=127.0.0.1
    port={port}
  }}
  inet_listener imaps {{
    port=0
  }}
}}
"""


class Client:
    """Just enough of an IMAP client."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.file = self.socket.makefile("rb")
        self.file.readline()

    def ask(self, command: bytes) -> bytes:
        self.socket.sendall(b"t " + command + b"\r\n")
        answer = b""
        while True:
            line = self.file.readline()
            answer += line
            if literal := re.search(rb"\{(\d+)\}\r\n\Z", line):
                answer += self.file.read(int(literal[1]))
            elif line.startswith(b"t "):
                return answer
            elif not line:
                raise ConnectionError(answer)


def answers(client: Client) -> dict[str, list[str]]:
    """
    The two answers for each message, octets as Latin-1; messages that APPEND refuses are left
    out.
    """
    client.ask(b"LOGIN user secret")
    found, number = {}, 0
    client.ask(b"SELECT INBOX")
    for name, message in everything().items():
        answer = client.ask(b"APPEND INBOX {%d+}\r\n" % len(message) + message)
        if b"t OK" not in answer:
            continue
        client.ask(b"NOOP")
        number += 1
        found[name] = []
        for item in (b"ENVELOPE", b"BODYSTRUCTURE"):
            answer = client.ask(b"FETCH %d %s" % (number, item))
            start = answer.index(b"FETCH (" + item) + len(item) + 8
            found[name].append(answer[start : answer.rindex(b")\r\nt OK")].decode("latin-1"))
    return found


def main() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = Path(tempfile.mkdtemp())
    home.chmod(0o755)
    (home / "run").mkdir()
    (home / "mail").mkdir()
    shutil.chown(home / "mail", "nobody", "nogroup")
    configuration = home / "dovecot.conf"
    configuration.write_text(CONFIGURATION.format(home=home, port=port))
    server = subprocess.Popen(["dovecot", "-F", "-c", str(configuration)])
    try:
        for _ in range(100):
            try:
                client = Client(port)
                break
            except ConnectionError:
                time.sleep(0.1)
        GOLDEN.write_text(json.dumps(answers(client), indent=1, sort_keys=True) + "\n")
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
