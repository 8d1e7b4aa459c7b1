"""
C{mailaccess auth-test USER}: a login tried out step by step, with the code that serves.
"""

from __future__ import annotations

import getpass
import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.selectreactor import SelectReactor
from twisted.python.failure import Failure

from mailaccess.auth.names import BadName, BadPassword, canonical_name, prepare_password
from mailaccess.services.config import load
from mailaccess.services.control.asking import NoAnswer, ask
from mailaccess.services.rehearsal import ANYWHERE, NotPlayable, Scene
from mailaccess.services.settings import Settings
from mailaccess.services.trial import Step, Trial, attempt
from mailaccess.services.trialclient import PASSWORDS

from .command import Command, Failed
from .server import CONFIG


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("user", help="user name, as a client would send it")
    parser.add_argument(
        "-c", "--config", default=CONFIG, metavar="FILE", help="the configuration (%(default)s)"
    )
    parser.add_argument(
        "-l", "--listener", default="", help="its name; the first one with TLS if not given"
    )
    parser.add_argument(
        "--tls",
        choices=("none", "1.2", "1.3"),
        help="TLS of the connection; 1.3 if the listener has TLS",
    )
    parser.add_argument(
        "-m",
        "--mech",
        default="PLAIN",
        choices=PASSWORDS,
        metavar="MECH",
        help=f"how: {', '.join(PASSWORDS)} (default: PLAIN)",
    )
    parser.add_argument(
        "--from", dest="peer", default=ANYWHERE, metavar="IP", help="the client's address"
    )
    parser.add_argument(
        "--password-file",
        default="",
        metavar="FILE",
        help="read the password from its first line, - for the input; asked for if not given",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _run(chosen: Namespace) -> int:
    settings = load(chosen.config)
    scene = _scene(chosen, settings)
    secret = _secret(chosen)
    reactor = SelectReactor()
    results: list[Any] = []

    def begin() -> None:
        work = Deferred.fromCoroutine(attempt(settings, reactor, scene, chosen.mech, secret))
        work.addBoth(results.append).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    trial = results[0]
    if isinstance(trial, Failure):
        if isinstance(trial.value, NotPlayable):
            raise Failed(str(trial.value)) from None
        trial.raiseException()
    trial.steps.insert(1, _throttle(settings, scene))
    if chosen.json:
        print(json.dumps(attrs.asdict(trial), indent=2))
    else:
        print("\n".join(_lines(trial)))
    return 0 if trial.admitted else 1


def _scene(chosen: Namespace, settings: Settings) -> Scene:
    secure = next((it for it in settings.listeners if it.tls != "none"), settings.listeners[0])
    name = chosen.listener or secure.label
    found = next((it for it in settings.listeners if it.label == name), secure)
    tls = chosen.tls or ("none" if found.tls == "none" else "1.3")
    return Scene(name, tls, chosen.user, chosen.peer)


def _secret(chosen: Namespace) -> bytes:
    try:
        if chosen.password_file == "-":  # noqa: S105 - the input
            secret = sys.stdin.buffer.readline()
        elif chosen.password_file:
            with open(chosen.password_file, "rb") as file:
                secret = file.readline()
        else:
            secret = getpass.getpass("Password: ").encode("utf-8", "surrogateescape")
        return prepare_password(secret.rstrip(b"\r\n"))
    except BadPassword as error:
        raise Failed(str(error)) from None
    except EOFError:
        raise Failed("no password was typed; --password-file - reads the input") from None
    except OSError as error:
        raise Failed(f"{chosen.password_file}: {error.strerror}") from None


def _throttle(settings: Settings, scene: Scene) -> Step:
    """
    Only the running server knows who has failed there.
    """
    path = settings.control.path
    if not path:
        return Step("throttle", "not asked", True, 0.0, "[control] has no path")
    try:
        name = canonical_name(scene.user, settings.mail.domain)
        items = list(ask(path, "held", user=name, peer=scene.peer))
    except (BadName, NoAnswer) as error:
        return Step("throttle", "not asked", True, 0.0, str(error))
    seconds = items[0]["seconds"] if items else 0.0
    if not seconds:
        return Step("throttle", "no wait", True, 0.0, "as the running server says")
    detail = "earlier failures; the server would hold the login back for that long"
    return Step("throttle", f"{seconds:.1f} s", True, 0.0, detail)


def _lines(trial: Trial) -> Iterator[str]:
    width = max(len(each.name) for each in trial.steps)
    for each in trial.steps:
        word = "ok" if each.good else "NO"
        milliseconds = f"{each.seconds * 1000:8.1f} ms"
        line = f"{word:3} {each.name:{width}} {milliseconds}  {each.answer}"
        yield _shown(f"{line}: {each.detail}" if each.detail else line)
    yield ""
    yield _shown(f"client: {trial.command} -> {trial.answer}")
    for line in trial.log:
        yield _shown(f"log:    {line}")
    yield ""
    yield "the login would succeed" if trial.admitted else "the login would fail"


def _shown(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)


command = Command(
    "auth-test",
    "try a login out, step by step",
    "Try a login with the code that serves, from the policy to the home directory, against the"
    " sources of users as they are now. Prints what every step said and how long it took, what the"
    " client would be told and what the log would say. Nothing is opened or changed; a wrong"
    " password counts as such where a directory counts them. Exit status 0 only if the login would"
    " succeed. The password is never shown.",
    _arguments,
    _run,
)
