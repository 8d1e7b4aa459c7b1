"""
Cyrus: C{imapd.conf} (C{key: value}) and C{cyrus.conf} (services).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .carried import Carried, Port

_OPTION = re.compile(r"^\s*([a-z0-9_]+)\s*:\s*(.*?)\s*$", re.I)
_SERVICE = re.compile(r'^\s*([a-z0-9_]+)\s+cmd="([^"]*)".*?listen="([^"]*)"', re.I)
_PORTS = {"imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995}
_TRUE = frozenset({"1", "yes", "true", "t", "on", "y"})
_READ = frozenset(
    {"allowplaintext", "sasl_minimum_layer", "sasl_mech_list", "tls_required", "tls_require_cert"}
)
_OURS = re.compile(r"^(?:tls_|sasl_|allow(?:plain|apop|anonymous))")
_STANDARD = (
    ("imap", "imapd", "imap"),
    ("imaps", "imapd -s", "imaps"),
    ("pop3", "pop3d", "pop3"),
    ("pop3s", "pop3d -s", "pop3s"),
)


def read(texts: Sequence[str]) -> Carried:
    """
    From the texts of both files, in any order.
    """
    options: dict[str, str] = {}
    services: list[tuple[str, str, str]] = []
    for line in (each for text in texts for each in text.splitlines()):
        if line.lstrip().startswith("#"):
            continue
        service, option = _SERVICE.match(line), _OPTION.match(line)
        if service is not None:
            services.append((service[1], service[2], service[3]))
        elif option is not None:
            options[option[1].lower()] = option[2]
    carried = Carried()
    served = [each for each in services or _STANDARD if re.search(r"\b(?:imapd|pop3d)\b", each[1])]
    for name, command, listen in served:
        carried.ports.append(_port(carried, options, name, command, listen))
    names = {each[0] for each in served}
    versions = options.get("tls_versions", "")
    by_command = any(each.tls == "starttls" and not each.minimum_tls for each in carried.ports)
    for key, value in options.items():
        prefix, _, rest = key.partition("_")
        plain = rest if prefix in names else key
        harmless = plain.startswith("allow") and value.lower() not in _TRUE
        if key == "tls_versions" and (_spoken(value) or (_newest(versions) and not by_command)):
            continue
        if plain not in _READ and _OURS.match(plain) and not harmless:
            carried.lost.append(f"{key}: {value}")
    return carried


def _newest(versions: str) -> bool:
    return versions.split() == ["tls1_3"]


def _spoken(versions: str) -> bool:
    """
    Whether these are the versions that are spoken here.
    """
    return sorted(versions.split()) == ["tls1_2", "tls1_3"]


def _port(
    carried: Carried, options: Mapping[str, str], name: str, command: str, listen: str
) -> Port:
    def option(key: str, default: str) -> str:
        return options.get(f"{name}_{key}", options.get(key, default))

    implicit = "-s" in command.split()
    host, _, place = listen.rpartition(":")
    number = _PORTS.get(place, int(place) if place.isdecimal() else 0)
    layer = option("sasl_minimum_layer", "0")
    mechanisms = option("sasl_mech_list", "").split()
    required = option("tls_required", "0").lower() in _TRUE
    version = "1.3" if _newest(option("tls_versions", "")) else "1.2" if required else ""
    return Port(
        protocol="pop3" if "pop3d" in command else "imap",
        tls="implicit" if implicit else "starttls",
        port=number,
        address=carried.addresses([host] if host else [], f"{name}: listen"),
        cleartext="allow" if option("allowplaintext", "0").lower() in _TRUE else "refuse",
        minimum_layer=min(int(layer), 256) if layer.isdecimal() else 0,
        minimum_tls=version if required or implicit else "",
        client_certificate="require" if option("tls_require_cert", "0").lower() in _TRUE else "no",
        mechanisms=carried.known(mechanisms, "sasl_mech_list"),
    )
