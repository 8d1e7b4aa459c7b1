# twistd -y tac/site.tac --uid mail --gid mail
#
# IMAP and POP3 for a site, TLS from the first octet; the same settings as a configuration file has,
# written in Python.

import sys

from twisted.application.service import Application
from twisted.internet import reactor

from mailaccess.services import logs, settings
from mailaccess.services.site import MailService

EVERYWHERE = ("0.0.0.0", "::")

site = settings.Settings(
    mail=settings.MailSettings(home="/srv/mail/{user}"),
    users=(settings.UsersSettings(type="file", path="/etc/mailaccess/users"),),
    tls=settings.TLSSettings(certificate="/etc/mailaccess/mail.pem"),
    listener=(
        settings.ListenerSettings(protocol="imap", tls="implicit", address=EVERYWHERE, port=993),
        settings.ListenerSettings(protocol="pop3", tls="implicit", address=EVERYWHERE, port=995),
    ),
    limits=settings.Limits(connections_per_user=20),
)

application = Application("mailaccess")
log = logs.LogWriter(logs.key_value_line, sys.stdout)
MailService(site, reactor, log_writer=log).setServiceParent(application)
