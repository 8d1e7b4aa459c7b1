"""
LITERAL+: RFC 7888. Every command takes C{{5+}}; this only says so.
"""

from __future__ import annotations

from ..registry import Extension

extension = Extension("LITERAL+", capabilities=(b"LITERAL+",))
