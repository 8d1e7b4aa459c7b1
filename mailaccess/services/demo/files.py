"""
Files of the demo: private, and complete or not there.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def make_directory(path: Path) -> None:
    """
    A directory for the owner alone, with its parents.
    """
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)


def write_private(path: Path, data: bytes) -> None:
    """
    Write a file that only its owner may read; what was there is replaced in one step.
    """
    # mkstemp opens with O_EXCL and mode 0600, whatever the umask is.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
