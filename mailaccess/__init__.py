"""
A mail access server: IMAP4 and POP3 as Twisted protocols behind one portal and one TLS policy.
"""

__version__ = "0.1.0"
