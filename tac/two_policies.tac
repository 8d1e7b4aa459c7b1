# twistd -noy tac/two_policies.tac
#
# One portal, two IMAP listeners: the first takes no password without TLS; the second, for old
# machines on a network of their own, takes those of scanners and nobody else's.

import time

from twisted.application.service import Application
from twisted.cred.portal import Portal
from twisted.internet import reactor

from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.auth.passwdfile import PasswordFile
from mailaccess.auth.pool import HashPool
from mailaccess.interfaces import IIMAPUser
from mailaccess.policy.tls import ListenerRule, PersonRule, TLSPolicy, Verdict
from mailaccess.protocols.imap.factory import IMAPFactory
from mailaccess.protocols.login import Entrance
from mailaccess.protocols.sweep import Sweep
from mailaccess.services import listeners, realm, settings, site, tls

rules = {"office": ListenerRule(), "machines": ListenerRule(exceptions=True)}
people = [PersonRule("scanner-*", Verdict.ALLOW, frozenset({"machines"}))]
pool, sweep = HashPool(reactor), Sweep(reactor)
users = PasswordFile("/etc/mailaccess/users", pool, reactor)
guard = GuardedChecker(TLSPolicy(rules, people), users, AccountGate(time.time))
store = site.maildirs(settings.MailSettings(home="/srv/mail/{user}"), reactor)
portal = Portal(realm.MailRealm(store), [guard])
server = tls.ServerTLS(settings.TLSSettings(certificate="/etc/mailaccess/mail.pem"), reactor)

application = Application("mailaccess")
for each in (site.Lifetime(pool.start, pool.stop), site.Lifetime(stop=store.stop), sweep):
    each.setServiceParent(application)
for name, port in (("office", 1143), ("machines", 2143)):
    port = settings.ListenerSettings(protocol="imap", name=name, address="127.0.0.1", port=port)
    entrance = Entrance(name, "imap", IIMAPUser, portal, guard, server.factory_for("imap"))
    factory = IMAPFactory(entrance, reactor, sweep)
    listeners.Listener(port, factory, reactor, server).setServiceParent(application)
