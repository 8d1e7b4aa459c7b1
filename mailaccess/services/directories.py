"""
From C{[[users]]} with C{type = "ldap"} to a checker; and what of it cannot be meant.
"""

from __future__ import annotations

import os
from typing import Any

from mailaccess.auth.cache import CachedChecker
from mailaccess.auth.chain import Entry
from mailaccess.auth.ldap.directory import LDAPChecker, Remembering
from mailaccess.auth.ldap.faults import WrongSetup
from mailaccess.auth.ldap.options import Connecting, Finding, parse_uri
from mailaccess.auth.ldap.upstream import read_secret
from mailaccess.auth.pool import HashPool

from .ldapsettings import LDAPSettings
from .problems import Document
from .toml_lines import Path


def connecting(settings: LDAPSettings) -> Connecting:
    """
    How to reach it.
    """
    return Connecting(
        uris=tuple(parse_uri(each) for each in settings.uri),
        encrypt=settings.tls != "none",
        ca_file=settings.ca,
        server_name=settings.server_name,
        certificate=settings.certificate,
        key=settings.key,
        bind="" if settings.bind == "none" else settings.bind,
        bind_dn=settings.bind_dn,
        password_file=settings.bind_password_file,
        connect_timeout=settings.connect_timeout,
        answer_timeout=settings.answer_timeout,
        deadline=settings.deadline,
        threads=settings.threads,
        queue=settings.queue,
        retry=settings.retry,
    )


def finding(settings: LDAPSettings) -> Finding:
    """
    How people are found in it.
    """
    return Finding(
        way=settings.check,
        base=settings.base,
        scope=settings.scope,
        filter=settings.filter,
        template=settings.template,
        name=settings.name,
        fields=settings.fields,
        password=settings.password_attribute,
        states=settings.states,
        groups=settings.groups,
        group_check=settings.group_check,
        group_base=settings.group_base,
        member=settings.member,
        domains=tuple(each.lower() for each in settings.domains),
    )


def directory(
    settings: LDAPSettings, reactor: Any, hashes: HashPool, default_domain: str = ""
) -> tuple[LDAPChecker, Entry]:
    """
    The checker, to be started and stopped, and its entry in a chain.
    """
    made = LDAPChecker(
        connecting(settings),
        finding(settings),
        reactor,
        hashes,
        Remembering(guard=settings.lockout_guard, outage=settings.outage),
        default_domain=default_domain,
        label=settings.label,
    )
    asked: Any = made
    if settings.cache or settings.cache_wrong:
        asked = CachedChecker(made, reactor, settings.cache, settings.cache_wrong)
    return made, Entry(asked, settings.if_down)


def contradicted(document: Document, settings: LDAPSettings, path: Path) -> None:
    """
    Note what is right by itself and cannot be meant together.
    """

    def wrong(name: str, text: str) -> None:
        document.wrong((*path, name), text)

    targets = [parse_uri(each) for each in settings.uri]
    open_ones = [each for each in targets if each.scheme == "ldap" and not each.local]
    if settings.tls == "none" and open_ones and not settings.insecure:
        wrong(
            "tls",
            f"sends passwords in the clear to {open_ones[0].host}; remove it, or add"
            " insecure = true if nobody else can read that network",
        )
    if settings.bind == "simple":
        for name in ("bind_dn", "bind_password_file"):
            if not getattr(settings, name) and name not in (document.value(path) or {}):
                wrong(name, f'is missing; add {name}, or write bind = "anonymous" or "external"')
    elif settings.bind_dn or settings.bind_password_file:
        name = "bind_dn" if settings.bind_dn else "bind_password_file"
        wrong(name, f'has no meaning with bind = "{settings.bind}"; remove it')
    if settings.bind == "external" and any(
        each.scheme != "ldapi" and not settings.certificate for each in targets
    ):
        wrong("bind", "needs a certificate to be known by; add certificate, or use ldapi://")
    if settings.bind == "none" and settings.check != "template":
        wrong("bind", f'leaves nobody to search, which check = "{settings.check}" needs; name one')
    if settings.check == "template" and not settings.template:
        wrong("template", 'is missing; add template = "uid={local},ou=people,..."')
    if settings.check != "template" and settings.template:
        wrong("template", f'has no meaning with check = "{settings.check}"; remove it')
    if not settings.base and not (settings.check == "template" and "=" in settings.template):
        wrong("base", 'is missing; add base = "dc=example,dc=org"')
    if settings.bind == "none" and "cleartext" in settings.fields:
        wrong("fields", 'has cleartext, which is needed before a user binds; write bind = "simple"')
    if settings.key and not settings.certificate:
        wrong("key", "has no certificate beside it; add certificate")


def checked(document: Document, settings: LDAPSettings, path: Path) -> str:
    """
    Look at the files it names; returns a line about it. No server is asked: that is what
    C{mailaccess ldap-doctor} does.
    """
    for name in ("ca", "certificate", "key"):
        file = getattr(settings, name)
        if file and not os.access(file, os.R_OK):
            document.wrong((*path, name), "cannot be read; make it, or correct the path")
    if settings.bind == "simple" and settings.bind_password_file:
        try:
            read_secret(settings.bind_password_file)
        except WrongSetup as error:
            reason = error.detail.removeprefix(f"{settings.bind_password_file}: ")
            document.wrong((*path, "bind_password_file"), f"cannot be used ({reason}); correct it")
    return f"{settings.label}: {', '.join(settings.uri)}; try it with mailaccess ldap-doctor"
