"""
Commands and extensions, one file each. L{EXTENSIONS} is their order in CAPABILITY.
"""

from __future__ import annotations

from ..registry import Extension
from . import (
    acl,
    append,
    authenticate,
    base,
    close,
    copy,
    create_special_use,
    enable,
    expunge,
    fetch,
    id,
    idle,
    list,
    literal_plus,
    login,
    mailboxes,
    move,
    namespace,
    quota,
    search,
    select,
    starttls,
    status,
    store,
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
    acl.extension,
    select.extension,
    mailboxes.extension,
    create_special_use.extension,
    subscribe.extension,
    list.extension,
    status.extension,
    quota.extension,
    close.extension,
    unselect.extension,
    append.extension,
    expunge.extension,
    copy.extension,
    move.extension,
    fetch.extension,
    store.extension,
    search.extension,
)
"""Everything this server speaks."""
