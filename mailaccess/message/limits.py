"""
How much of a message is understood. What lies beyond is kept and served, as opaque octets: a
limit is never an error, and never changes what BODY[] returns (MIME-01, MIME-03, MIME-04).
"""

from __future__ import annotations

from typing import Final

MAX_DEPTH: Final = 100
"""Multiparts and messages inside each other."""

MAX_MESSAGES: Final = 30
"""message/rfc822 inside each other."""

MAX_PARTS: Final = 10_000
"""Parts in a message, however they are nested."""

MAX_ADDRESSES: Final = 10_000
"""Addresses in one kind of field of one header."""

MAX_PARAMETERS: Final = 200
"""Parameters of one Content-Type or Content-Disposition."""

MAX_STRING: Final = 65_536
"""Octets of one header value, or of one word of it, that ENVELOPE or BODYSTRUCTURE repeats."""

MAX_VALUE: Final = 262_144
"""Octets looked at in all fields of one name together."""

MAX_ENCODED_WORDS: Final = 1_000
"""Encoded words decoded in one header value (RFC 2047); the others stay as they are."""
