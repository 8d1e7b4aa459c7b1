# twistd -noy tac/demo.tac
#
# The demo account on loopback: what "twist mailaccess --demo" serves. Its files are made in ./demo.

from pathlib import Path

from twisted.application.service import Application
from twisted.internet import reactor

from mailaccess.services.config import load
from mailaccess.services.demo.site import make_demo
from mailaccess.services.site import MailService

demo = make_demo(Path("demo"))

application = Application("mailaccess-demo")
MailService(load(str(demo.config)), reactor).setServiceParent(application)
