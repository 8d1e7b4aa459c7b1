"""
Taking over a Maildir of many messages that Dovecot had, ahead of the first login: time and memory
of C{mailaccess adopt}, and of giving it back. Half of the file names tell the size with CRLF line
ends, as Dovecot's own do; the other half are as other programs deliver, and have to be read.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from . import mail
from .figures import Figure, Plan
from .load import Unexpected

MB = 1000 * 1000


def run(plan: Plan) -> Iterator[Figure]:
    """
    Measure.
    """
    before = plan.place / "adopt"
    as_dovecot_leaves(before, plan.messages)
    whole = list(_turns(before, plan))
    size = f"{plan.messages:,} messages"
    for number, name in enumerate(("adopt", "release")):
        times = [turn[number][0] for turn in whole]
        peaks = [turn[number][1] for turn in whole]
        yield Figure(name=f"{name} {size}", unit="s", ours=statistics.median(times))
        yield Figure(
            name=f"{name} {size}, peak of memory",
            unit="MB",
            ours=max(peaks) / MB,
            note="Resident set of the command, the interpreter included." if not number else "",
        )
    shutil.rmtree(before)


def as_dovecot_leaves(maildir: Path, messages: int) -> None:
    """
    A Maildir with a list of UIDs that has gaps, and keywords.
    """
    mail.fill(maildir, messages)
    lines = [f"3 V1700000000 N{2 * messages + 1} G0123456789abcdef0123456789abcdef"]
    for number, name in enumerate(sorted(os.listdir(maildir / "cur"))):
        base, _, flags = name.partition(":2,")
        if number % 2:
            data = (maildir / "cur" / name).read_bytes()
            base += f",W={len(data) + data.count(bytes([10]))}"
        kept = f"{base}:2,{flags}" + ("a" if number % 3 == 0 else "")
        (maildir / "cur" / name).rename(maildir / "cur" / kept)
        lines.append(f"{2 * number + 1} :{base}")
    (maildir / "dovecot-uidlist").write_text("\n".join(lines) + "\n")
    (maildir / "dovecot-keywords").write_text("0 $Label1\n")


def _turns(before: Path, plan: Plan) -> Iterator[tuple[tuple[float, int], tuple[float, int]]]:
    """
    Seconds and octets of both commands. Given back it is as it was, but for its list, which then
    says more of each message.
    """
    listed = (before / "dovecot-uidlist").read_bytes()
    for _ in range(plan.rounds):
        (before / "dovecot-uidlist").write_bytes(listed)
        adopted = _timed("adopt", "--json", str(before))
        yield adopted, _timed("release", "--json", str(before))


def _timed(*words: str) -> tuple[float, int]:
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "mailaccess", *words], stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Unexpected(f"mailaccess {words[0]} ended with {process.returncode}")
    return time.monotonic() - start, used.ru_maxrss * 1024
