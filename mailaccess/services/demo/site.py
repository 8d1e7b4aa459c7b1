"""
Everything the demo needs, in one directory; what is there is never overwritten.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import attrs

from mailaccess.auth import passwords
from mailaccess.services.options import toml

from .certificate import ensure_certificate
from .files import make_directory, write_private
from .maildir import ensure_maildir

ACCOUNT = "demo"
PASSWORD = "demo"  # noqa: S105 # the demo's, printed at its start


@attrs.frozen
class DemoSite:
    """
    Where the parts of a demo are. All paths begin with C{directory}, which is absolute.

    @ivar users: password file
    @ivar mail: directory with one Maildir per account
    @ivar maildir: that of the account C{demo}
    """

    directory: Path

    @property
    def certificate(self) -> Path:
        """
        PEM file; clients trust it by name (C{curl --cacert}).
        """
        return self.directory / "cert.pem"

    @property
    def key(self) -> Path:
        """
        PEM file, mode 0600.
        """
        return self.directory / "key.pem"

    @property
    def users(self) -> Path:
        """
        Password file in the format of Dovecot's passwd-file, mode 0600.
        """
        return self.directory / "users"

    @property
    def config(self) -> Path:
        """
        The configuration, for C{mailaccess.services.config.load}.
        """
        return self.directory / "mailaccess.toml"

    @property
    def mail(self) -> Path:
        """
        One Maildir per account.
        """
        return self.directory / "mail"

    @property
    def maildir(self) -> Path:
        """
        The Maildir of the account.
        """
        return self.mail / ACCOUNT


def make_demo(directory: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> DemoSite:
    """
    Make what is missing of a demo in C{directory}. Only a certificate that has expired or lost its
    key is made anew; anything else that is there stays as it is. Blocks (a password is hashed, some
    dozens of files are written): not for the reactor's thread while others are served.

    @raise OSError: the directory or a file in it cannot be made
    """
    site = DemoSite(directory.absolute())
    make_directory(site.directory)
    make_directory(site.mail)
    ensure_certificate(site.certificate, site.key, now())
    if not site.users.exists():
        stored = passwords.make("ARGON2ID", PASSWORD.encode())
        write_private(site.users, f"{ACCOUNT}:{stored}::::::\n".encode())
    if not site.config.exists():
        write_private(site.config, configuration(site).encode())
    ensure_maildir(site.maildir)
    return site


def configuration(site: DemoSite) -> str:
    """
    The text of the configuration file.
    """
    text = (files(__package__) / "mailaccess.toml").read_text("utf-8")
    # Braces are placeholders in the template of the home.
    escaped = str(site.mail).replace("{", "{{").replace("}", "}}")
    for place, value in (
        ("@CERTIFICATE@", str(site.certificate)),
        ("@KEY@", str(site.key)),
        ("@USERS@", str(site.users)),
        ("@HOME@", f"{escaped}/{{user}}"),
    ):
        text = text.replace(place, toml(value))
    return text
