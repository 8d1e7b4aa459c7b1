"""
For C{mailaccess check}: what the tables of the audit name, looked at.
"""

from __future__ import annotations

import os

from mailaccess.errors import ConfigurationErrors

from ..problems import Document
from ..settings import Settings
from .database import Database, NotUsable
from .shadow import load_shadow


def look(document: Document, settings: Settings, summary: list[str]) -> None:
    """
    Look at what these tables name: the directory and the database, and all of the shadow policy.
    """
    _database(document, settings, summary)
    if settings.shadow.policy:
        try:
            load_shadow(settings.shadow.policy, settings)
        except ConfigurationErrors as error:
            for each in error.problems:
                document.note(("shadow", "policy"), each)
        else:
            summary.append(f"shadow policy {settings.shadow.policy}")


def _database(document: Document, settings: Settings, summary: list[str]) -> None:
    path = settings.audit.database
    if not path:
        return
    directory = os.path.dirname(path)
    option = ("audit", "database")
    if not os.path.isdir(directory):
        document.wrong(option, f"is in {directory}, which is no directory; mkdir -p {directory}")
    elif os.geteuid() != 0 and not os.access(directory, os.W_OK | os.X_OK):
        document.wrong(option, f"is in {directory}, where nothing can be written; chown it")
    elif os.path.exists(path) and os.path.getsize(path):
        try:
            Database(path).close()
        except NotUsable as error:
            document.note(option, str(error))
        else:
            summary.append(f"audit in {path}")
    else:
        summary.append(f"audit in {path}, which is not there yet")
