"""
C{mailaccess explain FILE --listener NAME}: who may log in how on a connection, why, and what the
client is told.
"""

from __future__ import annotations

import json
import sys
import textwrap
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from mailaccess.services.config import load
from mailaccess.services.rehearsal import ANYWHERE, Explanation, NotPlayable, Rehearsal, Scene

from .command import Command, Failed

WIDTH = 100


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", help="the configuration file")
    parser.add_argument("-l", "--listener", required=True, help="name of the listener")
    parser.add_argument("-u", "--user", default="", help="user name; nobody in particular if none")
    parser.add_argument(
        "--tls",
        choices=("none", "1.2", "1.3"),
        help="TLS of the connection; none if not given, with implicit TLS 1.3",
    )
    parser.add_argument(
        "--from",
        dest="peer",
        default=ANYWHERE,
        metavar="IP",
        help="the client's address, or `unix` for a unix socket",
    )
    parser.add_argument(
        "--proxy", action="store_true", help="the TLS is between the client and a proxy"
    )
    parser.add_argument(
        "--certificate", default="", metavar="SUBJECT", help="of the client, such as CN=amy"
    )
    parser.add_argument("-m", "--mech", default="", help="one mechanism; all if not given")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _run(chosen: Namespace) -> int:
    rehearsal = rehearse(chosen.file)
    try:
        implicit = rehearsal.listener(chosen.listener).tls == "implicit"
        tls = chosen.tls or ("1.3" if implicit or chosen.proxy else "none")
        scene = Scene(
            chosen.listener, tls, chosen.user, chosen.peer, chosen.certificate, chosen.proxy
        )
        explanation = rehearsal.explain(scene, chosen.mech)
    except NotPlayable as error:
        raise Failed(str(error)) from None
    if chosen.json:
        print(json.dumps(as_json(explanation), indent=2, ensure_ascii=False))
    else:
        print("\n".join(as_text(explanation)))
    return 0


def rehearse(path: str) -> Rehearsal:
    """
    A rehearsal of a configuration file.

    @raise Failed: it cannot be rehearsed
    @raise mailaccess.errors.ConfigurationErrors: all that is wrong with it
    """
    try:
        return Rehearsal(load(path))
    except NotPlayable as error:
        raise Failed(str(error)) from None


def say_unknown(*rehearsals: Rehearsal) -> None:
    """
    Tell what could not be found out: a table without it is right, but not whole.
    """
    for each in dict.fromkeys(text for it in rehearsals for text in it.unknown):
        print(f"mailaccess: {each}", file=sys.stderr)


def as_json(it: Explanation) -> dict[str, Any]:
    """
    All of it, for programs. The keys are stable.
    """
    return {
        "listener": it.scene.listener,
        "source": it.source,
        "user": it.scene.user or None,
        "from": it.scene.peer,
        "tls": it.scene.tls,
        "proxy": it.scene.proxy,
        "layer": it.link.layer.value,
        "private": it.link.private,
        "greeting": it.greeting,
        "capability": list(it.capability),
        "mechanisms": [
            {
                "mechanism": each.mechanism.name,
                "verdict": each.decision.verdict.value,
                "advertised": each.advertised,
                "rule": each.decision.rule,
                "source": each.decision.source,
                "depends_on_user": each.decision.depends_on_person,
                "command": each.command or None,
                "answer": each.answer or None,
            }
            for each in it.outcomes
        ],
    }


def as_text(it: Explanation) -> Iterator[str]:
    """
    All of it, for people.
    """
    scene = it.scene
    tls = "no TLS" if scene.tls == "none" else f"TLS {scene.tls}"
    tls += " at a proxy" if scene.proxy else ""
    who = f"user {scene.user}" if scene.user else "nobody in particular"
    private = (
        "" if scene.tls != "none" or not it.link.private else f" (private: {it.link.layer.value})"
    )
    yield f"listener {scene.listener} ({it.source}), {tls}{private}, from {scene.peer}, {who}"
    yield ""
    if len(it.capability) == 1:
        yield from textwrap.wrap(it.capability[0], WIDTH, subsequent_indent="  ")
    else:
        yield "CAPA: " + ", ".join(it.capability)
    yield ""
    width = max(len(each.mechanism.name) for each in it.outcomes)
    for each in it.outcomes:
        decision = each.decision
        depends = "; rules for users may say otherwise" if decision.depends_on_person else ""
        why = f"{decision.rule} ({decision.source}){depends}"
        yield f"{each.mechanism.name:{width}}  {decision.verdict.value:6}  {why}"
        if decision.allowed and not each.advertised:
            yield f"{'':{width}}          not advertised; works for who tries"
        if each.answer:
            yield f"{'':{width}}          {each.command} -> {each.answer}"


command = Command(
    "explain",
    "say who may log in how on a connection, and why",
    "Say for every mechanism what the policy decides, which rule decided and where it is written,"
    " and what a client would read. Runs the server's own code, without a server.",
    _arguments,
    _run,
)
