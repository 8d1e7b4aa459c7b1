"""
C{twist mailaccess} and C{twistd mailaccess}.
"""

from twisted.application.service import ServiceMaker

mailaccess = ServiceMaker(
    "mailaccess", "mailaccess.services.tap", "A mail access server: IMAP4 and POP3", "mailaccess"
)
