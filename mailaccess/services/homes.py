"""
Where users' mail is, by the configuration.
"""

from __future__ import annotations

from string import Formatter


def home_template(home: str) -> str:
    """
    C{[mail] home} as the store fills it in: doubled braces stand for themselves in the file.
    """
    return "".join(
        text + (f"{{{name}}}" if name else "") for text, name, _, _ in Formatter().parse(home)
    )
