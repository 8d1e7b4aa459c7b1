"""
The configuration: one frozen class per table of the file, each field with its kind, default and
meaning.

The classes can be made without a file, too (C{Limits(connections_per_user=10)}): defaults are those
of the file. L{mailaccess.services.config.load} makes them from a file.
"""

# ruff: noqa: RUF009 - section() makes an attrs field

from __future__ import annotations

from collections.abc import Mapping

import attrs

from mailaccess.auth.sasl import MECHANISMS
from mailaccess.store.maildir.uniqueids import USUAL
from mailaccess.wire.naming import DELIMITERS

from .auditsettings import AuditSettings, MetricsSettings, RatchetSettings, ShadowSettings
from .controlsettings import ControlSettings
from .kinds import (
    Addresses,
    Day,
    Duration,
    FileName,
    Networks,
    Number,
    Size,
    Switch,
    Template,
    Text,
    UniqueIdFormat,
    Words,
)
from .ldapsettings import LDAPSettings
from .loginsettings import CertificateSettings, LoginSettings
from .mailsettings import FolderSettings, QuotaSettings
from .namespacesettings import NamespaceSettings
from .options import REQUIRED, option, section

STANDARD_PORTS: Mapping[tuple[str, bool], int] = {
    ("imap", False): 143,
    ("imap", True): 993,
    ("pop3", False): 110,
    ("pop3", True): 995,
}
"""Port by protocol and whether TLS is implicit (RFC 8314 section 3)."""

CLEARTEXT = ("refuse", "report", "allow")
TLS_VERSIONS = ("1.2", "1.3")
MECHANISM_NAMES = (*MECHANISMS, "LOGIN command", "USER", "APOP")
_GONE = {
    "DIGEST-MD5": "which is historic (RFC 6331) and not here: its hash is as good as a password to"
    " whoever reads it, and clients disagree about it; write SCRAM-SHA-256, or remove it"
}


@attrs.frozen(kw_only=True)
class MailSettings:
    """
    Where mail is kept.
    """

    home: str = option(
        Template(),
        REQUIRED,
        "directory of a user's mail; `{user}` is the whole name, `{local}` what stands before"
        " the @, `{domain}` what stands behind it",
    )
    maildir: str = option(
        Text(what="name"), "", "the Maildir's name in it; empty if it is one itself"
    )
    mirror: str = option(
        Text(("immediate", "lazy", "never")),
        "lazy",
        "when flags are written into file names, where other programs see them",
    )
    domain: str = option(Text(what="domain"), "", "added to user names that come without one")
    delimiter: str = option(
        Text(DELIMITERS),
        "/",
        "what IMAP clients see between the parts of names of folders; here and in other files it"
        " is `/` always",
    )
    prefix: str = option(
        Text(what='`""` or `"INBOX"` with the delimiter behind it'),
        "",
        "what IMAP clients see before the names of all folders but `INBOX`, as with Courier",
    )
    pop3_uidl_format: str = option(
        UniqueIdFormat(),
        USUAL,
        "that of the Dovecot which Maildirs come from, so that POP3 clients know their messages"
        " again",
    )
    quota_warning: int = option(
        Number(0, 100), 90, "percent of a quota from which on users are warned; 0 for never"
    )


@attrs.frozen(kw_only=True)
class UsersSettings:
    """
    Where users come from: a password file, as Dovecot's passwd-file writes it. With several, they
    are asked in this order.
    """

    type: str = option(Text(("file", "ldap")), REQUIRED, "`file`")
    path: str = option(FileName(), REQUIRED, "the password file; read again when it changes")
    clear_text: bool = option(
        Switch(),
        False,
        "accept `{PLAIN}` entries: for tests, and for APOP and CRAM-MD5, which need them",
    )
    source: str = "default"


@attrs.frozen(kw_only=True)
class TLSSettings:
    """
    Certificates. They are read again on SIGHUP and when the files change; the old ones stay while
    the new ones are broken.
    """

    certificate: str = option(FileName(), "", "PEM file: the certificate and those above it")
    key: str = option(FileName(), "", "PEM file with its key; empty if that is in the same file")
    names: str = option(
        FileName(),
        "",
        "directory with one file `NAME.pem` (certificates and key) per server name that clients may"
        " ask for; `*.example.org.pem` is for all names one level below",
    )
    client_ca: str = option(
        FileName(), "", "PEM file with the authorities whose client certificates are good"
    )
    watch: int = option(
        Duration(most=86400), "5s", "how often to look for changed files; 0 for never"
    )
    handshake: int = option(Duration(1, 10), "10s", "after this a handshake is given up")


@attrs.frozen(kw_only=True)
class ListenerSettings:
    """
    One port. Without any, there are four: IMAP on 143, IMAP with TLS on 993, POP3 on 110, POP3 with
    TLS on 995.
    """

    protocol: str = option(Text(("imap", "pop3")), REQUIRED, "what is spoken")
    name: str = option(
        Text(what="name"), "", "for logs and rules; `imap`, `imaps`, `pop3` or `pop3s` if empty"
    )
    address: tuple[str, ...] = option(Addresses(), ["0.0.0.0", "::"], "where to listen")  # noqa: S104
    port: int | None = option(
        Number(0, 65535),
        None,
        "the standard port if not given; 0 for any that is free; not used with `systemd:`",
    )
    tls: str = option(
        Text(("implicit", "starttls", "none")),
        "starttls",
        "TLS from the first octet, by command, or not at all",
    )
    cleartext: str = option(
        Text(CLEARTEXT),
        "refuse",
        "passwords on a connection that is not private; `report` lets them through and logs that"
        " they would be refused",
    )
    minimum_layer: int = option(
        Number(0, 256),
        0,
        "bits of strength that a connection needs for any login, whatever the mechanism: 112 for"
        " nothing without TLS; connections that count as private are strong enough",
    )
    minimum_tls: str = option(
        Text(TLS_VERSIONS), "", "any login needs TLS of this version, or a newer one"
    )
    client_certificate: str = option(
        Text(("no", "ask", "require")), "no", "ask for one; `require`: any login needs one"
    )
    exceptions: bool = option(
        Switch(),
        False,
        "rules for users may open what `cleartext`, `minimum_layer` and `minimum_tls` refuse",
    )
    mechanisms: tuple[str, ...] = option(
        Words(MECHANISM_NAMES, gone=_GONE),
        [],
        "ways to log in; empty for all but APOP, CRAM-MD5 and ANONYMOUS, and SCRAM only if every"
        " user has its keys",
    )
    private: tuple[str, ...] = option(
        Networks(("loopback", "unix", "proxy-tls")),
        [],
        "clients whose connections count as private without TLS of ours: networks, this machine,"
        " those of a unix socket, or those who have TLS with one of the `proxies`",
    )
    proxies: tuple[str, ...] = option(
        Networks(("loopback", "unix")),
        [],
        "proxies that say by the PROXY protocol who the client is; they must, and nobody else is"
        " believed",
    )
    socket_mode: str = option(
        Text(("0600", "0660", "0666")), "0660", "who may use `unix:` sockets: permissions"
    )
    socket_group: str = option(
        Text(what="group name"), "", "group of `unix:` sockets; empty for that of the server"
    )
    source: str = "default"

    @property
    def label(self) -> str:
        """
        Its name, given or standard.
        """
        return self.name or self.protocol + ("s" if self.tls == "implicit" else "")

    @property
    def port_number(self) -> int:
        """
        The port, given or standard.
        """
        if self.port is not None:
            return self.port
        return STANDARD_PORTS.get((self.protocol, self.tls == "implicit"), 0)


@attrs.frozen(kw_only=True)
class RuleSettings:
    """
    For some users, other than their listener says. Of each option the first rule that matches and
    has it counts, then what the user's own record says.
    """

    users: tuple[str, ...] = option(
        Words(what="array of names or patterns"), [], "names; `*`, `?` and `[...]` as in a shell"
    )
    groups: tuple[str, ...] = option(
        Words(what="array of names"),
        [],
        "members of groups, as `groups` of their records names them",
    )
    listeners: tuple[str, ...] = option(Words(), [], "names of listeners; empty for all")
    from_: tuple[str, ...] = option(Networks(), [], "only for clients from there; empty for all")
    cleartext: str = option(
        Text(CLEARTEXT),
        "",
        "passwords on a connection that is not private; more than the listener lets through only"
        " where it has `exceptions`",
    )
    until: str = option(
        Day(), "", "last day on which `cleartext` lets through; afterwards it refuses"
    )
    minimum_tls: str = option(
        Text(TLS_VERSIONS), "", "any login needs TLS of this version, or a newer one"
    )
    mechanisms: tuple[str, ...] = option(
        Words(MECHANISM_NAMES, gone=_GONE),
        [],
        "the only ways to log in; empty for those of the listener",
    )
    client_certificate: str = option(
        Text(("no", "require")), "no", "`require`: any login needs one"
    )
    owner: str = option(Text(what="text"), "", "who answers for the rule; for people")
    reason: str = option(Text(what="text"), "", "why it is there; for people")
    source: str = "default"


@attrs.frozen(kw_only=True)
class Limits:
    """
    What one client may use up.
    """

    message_size: int = option(Size(1024), "64M", "the largest message that is taken")
    connections: int = option(Number(1), 20000, "open connections of all clients together")
    connections_per_ip: int = option(
        Number(1), 20, "connections of one address that have not logged in; IPv6 is counted by /64"
    )
    connections_per_user: int = option(Number(1), 50, "sessions of one user")
    connections_per_user_and_ip: int = option(
        Number(1), 20, "sessions of one user from one address; IPv6 is counted by /64"
    )
    login: int = option(Duration(10, 600), "2m", "time to log in, whatever is said meanwhile")
    imap_idle: int = option(Duration(1800), "30m", "silence that ends an IMAP session")
    pop3_idle: int = option(Duration(600), "10m", "silence that ends a POP3 session")
    stalled: int = option(Duration(10), "5m", "time a client may leave our answers unread")
    failures_per_connection: int = option(Number(1, 10), 3, "wrong passwords before it is closed")
    bad_commands_before_login: int = option(Number(1), 3, "commands in error before it is closed")
    bad_commands: int = option(Number(1), 20, "commands in error before it is closed, logged in")


@attrs.frozen(kw_only=True)
class POP3Settings:
    """
    What is special to POP3.
    """

    second_session: str = option(
        Text(("in-use", "snapshot")),
        "in-use",
        "a second session of a user is refused, or sees the mail as it is then",
    )
    refuse_at: str = option(
        Text(("user", "pass")), "user", "where a user whom the policy refuses is told so"
    )
    apop: bool = option(Switch(), False, "offer APOP, which needs passwords that can be read back")
    login_delay: int = option(Duration(), 0, "least time between two logins of a user; 0 for none")
    expire: str = option(
        Text(what='`"NEVER"` or days'), "NEVER", "how long mail is kept, as CAPA announces it"
    )


@attrs.frozen(kw_only=True)
class LogSettings:
    """
    One line per event.
    """

    format: str = option(Text(("key=value", "json")), "key=value", "how a line is written")
    file: str = option(FileName(), "", "where; empty for the standard error")
    repeats: int = option(
        Number(0),
        60,
        "connections, and failures, of one address a minute that get a line each before they are"
        " only counted; 0 for all",
    )


@attrs.frozen(kw_only=True)
class ServerSettings:
    """
    The process.
    """

    user: str = option(Text(what="user name"), "", "whom to become once the ports are open")
    group: str = option(Text(what="group name"), "", "its group; empty for the user's own")
    stop: int = option(
        Duration(0, 300), "10s", "how long running commands may take when it is stopped"
    )
    backlog: int = option(Number(1, 65535), 512, "connections the kernel holds ready per port")
    watchdog: int = option(
        Number(0, 60_000),
        0,
        "milliseconds that one piece of work may hold up all others before the log gets its stack;"
        " 0 for not looking",
    )
    hash_threads: int = option(
        Number(0, 256), 0, "passwords hashed at a time; 0 for one per processor"
    )


STANDARD_LISTENERS = tuple(
    ListenerSettings(protocol=protocol, tls=tls)
    for protocol in ("imap", "pop3")
    for tls in ("starttls", "implicit")
)


@attrs.frozen(kw_only=True)
class Settings:
    """
    All of it.
    """

    mail: MailSettings = section(MailSettings)
    quota: tuple[QuotaSettings, ...] = section(QuotaSettings, many=True)
    folders: FolderSettings = section(FolderSettings)
    namespace: tuple[NamespaceSettings, ...] = section(NamespaceSettings, many=True)
    users: tuple[UsersSettings | LDAPSettings, ...] = section(
        UsersSettings, many=True, variants={"ldap": LDAPSettings}
    )
    tls: TLSSettings = section(TLSSettings)
    listener: tuple[ListenerSettings, ...] = section(ListenerSettings, many=True)
    rule: tuple[RuleSettings, ...] = section(RuleSettings, many=True)
    login: LoginSettings = section(LoginSettings)
    certificate: tuple[CertificateSettings, ...] = section(CertificateSettings, many=True)
    limits: Limits = section(Limits)
    pop3: POP3Settings = section(POP3Settings)
    log: LogSettings = section(LogSettings)
    audit: AuditSettings = section(AuditSettings)
    shadow: ShadowSettings = section(ShadowSettings)
    ratchet: RatchetSettings = section(RatchetSettings)
    metrics: MetricsSettings = section(MetricsSettings)
    server: ServerSettings = section(ServerSettings)
    control: ControlSettings = section(ControlSettings)

    @property
    def listeners(self) -> tuple[ListenerSettings, ...]:
        """
        Those of the file, or the four standard ones.
        """
        return self.listener or STANDARD_LISTENERS
