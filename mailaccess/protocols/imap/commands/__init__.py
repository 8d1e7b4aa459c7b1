"""
Commands and extensions, one file each. L{EXTENSIONS} is their order in CAPABILITY.
"""

from __future__ import annotations

from ..registry import Extension
from . import authenticate, base, login, starttls

EXTENSIONS: tuple[Extension, ...] = (
    base.extension,
    starttls.extension,
    login.extension,
    authenticate.extension,
)
"""Everything this server speaks."""
