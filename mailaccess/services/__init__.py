"""
Put together and run: configuration, TLS, listeners, the realm, logs and the whole object graph.
"""

from . import activation as activation
