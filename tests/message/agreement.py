"""
What it means for two structures to say the same: strings count, not how they are written.

Space in strings is folded, and what case never matters in is lower case: types, encodings,
character sets.
"""

from __future__ import annotations

from pathlib import Path

from mailaccess.message.lineends import to_crlf
from tests.message import nasty

DATA = Path(__file__).parent.parent / "data"
GOLDEN = DATA / "structures.json"


def corpus() -> dict[str, bytes]:
    """The real messages by their path, with CRLF line ends."""
    found = {}
    for path in sorted((DATA / "corpus").glob("*/*.eml")):
        found[f"{path.parent.name}/{path.stem}"] = to_crlf(path.read_bytes())
    return found


def everything() -> dict[str, bytes]:
    """Real messages and badly written ones."""
    return {**corpus(), **nasty.MESSAGES}


def meaning(value, key: bytes = b""):
    """A parsed value in the form that is compared."""
    if isinstance(value, bytes):
        return b" ".join(value.split())
    if not isinstance(value, list):
        return value
    items = [meaning(item) for item in value]
    if len(items) >= 7 and isinstance(items[0], bytes) and isinstance(items[6], int):
        for index in (0, 1, 5):
            items[index] = items[index].lower()
    pairs = zip(items[::2], items[1::2], strict=False)
    for index, (name, text) in enumerate(pairs):
        if isinstance(name, bytes) and name.lower() == b"charset" and isinstance(text, bytes):
            items[2 * index : 2 * index + 2] = [name.lower(), text.lower()]
    return items
