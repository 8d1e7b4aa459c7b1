"""
The demo: a certificate, a password file, a configuration and an account full of mail, made once.

    site = make_demo(Path("demo"))
    print(banner(site))

The messages are tables in C{letters/*.toml}, made into what an MDA would deliver by L{letter}.
"""

from __future__ import annotations

from .banner import banner
from .site import DemoSite, make_demo

__all__ = ["DemoSite", "banner", "make_demo"]
