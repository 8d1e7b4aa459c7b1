"""
What systemd passed to this process, looked at before anybody else takes it out of the environment:
Twisted does so when C{twisted.internet.endpoints} is imported, whoever imports it.
"""

from __future__ import annotations

import os

from twisted.python.systemd import ListenFDs

AT_START = ListenFDs.fromEnvironment(dict(os.environ))
"""As it was when the first module of this package was imported. The environment is left alone."""
