"""
Commands and extensions, one file each. L{EXTENSIONS} is their order in CAPABILITY.
"""

from __future__ import annotations

from ..registry import Extension
from . import (
    authenticate,
    base,
    close,
    enable,
    id,
    idle,
    list,
    literal_plus,
    login,
    mailboxes,
    namespace,
    select,
    starttls,
    status,
    subscribe,
    unselect,
)

EXTENSIONS: tuple[Extension, ...] = (
    base.extension,
    literal_plus.extension,
    id.extension,
    enable.extension,
    idle.extension,
    starttls.extension,
    login.extension,
    authenticate.extension,
    namespace.extension,
    select.extension,
    mailboxes.extension,
    subscribe.extension,
    list.extension,
    status.extension,
    close.extension,
    unselect.extension,
)
"""Everything this server speaks."""
