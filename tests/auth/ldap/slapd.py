"""
A real slapd, private to the tests: own directory, own ports, own certificates.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import attrs
import ldap3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT = Path(__file__).parents[3]
UNPACKED = ROOT / ".programs" / "files"
PATIENCE = 30.0

BASE = "dc=corp,dc=example"
PEOPLE = f"ou=people,{BASE}"
GROUPS = f"ou=groups,{BASE}"
ADMIN = f"cn=admin,{BASE}"
READER = f"cn=reader,{BASE}"
ADMIN_SECRET = "Admin-Geheim-1"
READER_SECRET = "Leser-Geheim-2"
MANY = 5000
AMYS = "Amys-Wort-3"
"""Password of amy, bert, carl."""


def program(name: str) -> str:
    path = os.pathsep.join(
        [str(ROOT / ".programs" / "bin"), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]
    )
    found = shutil.which(name, path=path)
    assert found, f"{name} is missing; run tests/setup_programs.sh"
    return found


def place(path: str) -> Path:
    unpacked = UNPACKED / path.lstrip("/")
    return unpacked if unpacked.exists() else Path(path)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def ssha(secret: str) -> str:
    salt = os.urandom(8)
    return (
        "{SSHA}" + base64.b64encode(hashlib.sha1(secret.encode() + salt).digest() + salt).decode()
    )


# ---- certificates -------------------------------------------------------------------------------


class Authority:
    """
    Signs certificates.
    """

    def __init__(self, name: str = "Test CA") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key, ca=True)

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        names: Sequence[str] = (),
        ends: int = 30,
        ca: bool = False,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=60))
            .not_valid_after(now + datetime.timedelta(days=ends))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if ca:
            others = (
                "digital_signature content_commitment key_encipherment data_encipherment"
                " key_agreement encipher_only decipher_only"
            )
            usage = dict.fromkeys(others.split(), False)
            builder = builder.add_extension(
                x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True
            )
            builder = builder.add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
        else:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            ).add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general(each) for each in names]), critical=False
            )
        return builder.sign(self.key, hashes.SHA256())

    def write(self, path: Path, subject: str, *names: str, ends: int = 30) -> Path:
        """
        A key and a certificate in one file.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        certificate = self._sign(name, key, names, ends)
        path.touch(0o600)
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        return path

    def write_ca(self, path: Path) -> Path:
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return path


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


# ---- the server ---------------------------------------------------------------------------------

_CONFIG = """
include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/inetorgperson.schema
include {schema}/nis.schema
modulepath {modules}
moduleload back_mdb.so
moduleload memberof.so
moduleload ppolicy.so
moduleload argon2.so
TLSCACertificateFile {ca}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {certificate}
TLSVerifyClient allow
authz-regexp "gidNumber=.*,cn=peercred,cn=external,cn=auth" "{reader}"
authz-regexp "cn=mailaccess client" "{reader}"
{more}
database mdb
suffix "{base}"
rootdn "{admin}"
rootpw {admin_secret}
directory "{data}"
maxsize 268435456
dbnosync
index objectClass,uid,mail,member,memberUid eq
sizelimit 20000
overlay memberof
overlay ppolicy
ppolicy_default "cn=default,{base}"
ppolicy_use_lockout
access to attrs=userPassword by dn.exact="{reader}" read by self write by anonymous auth by * none
access to attrs=description by self write by dn.exact="{reader}" read by * none
access to * by dn.exact="{reader}" read by self read by * none
"""


@attrs.define(eq=False)
class Slapd:
    """
    One server.

    @ivar log: what it says of each operation
    """

    directory: Path
    certificate: Path
    ca: Path
    more: str = ""
    port: int = attrs.field(factory=free_port)
    tls_port: int = attrs.field(factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_uri(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def ipc_uri(self) -> str:
        return "ldapi://" + quote(str(self.directory / "ldapi"), safe="")

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def load(self, *ldif: str) -> None:
        """
        Write the configuration and fill the database.
        """
        (self.directory / "data").mkdir(parents=True, exist_ok=True)
        config = self.directory / "slapd.conf"
        config.touch(0o600)
        config.write_text(
            _CONFIG.format(
                schema=place("/etc/ldap/schema"),
                modules=place("/usr/lib/ldap"),
                ca=self.ca,
                certificate=self.certificate,
                reader=READER,
                base=BASE,
                admin=ADMIN,
                admin_secret=ADMIN_SECRET,
                data=self.directory / "data",
                more=self.more,
            )
        )
        for text in ldif:
            done = subprocess.run(
                [program("slapadd"), "-q", "-f", config],
                input=text.encode(),
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr.decode()

    def start(self) -> None:
        """
        Run it; returns when it answers.
        """
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    program("slapd"),
                    *("-f", str(self.directory / "slapd.conf")),
                    *("-h", f"{self.uri} {self.tls_uri} {self.ipc_uri}"),
                    *("-d", "stats"),
                ],
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.tls_port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < end
                time.sleep(0.02)

    def kill(self) -> None:
        """
        End it at once, also when it is stopped.
        """
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def hang(self) -> None:
        """
        Connections are still made; nothing is answered.
        """
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def admin(self) -> ldap3.Connection:
        """
        A connection that may do everything.
        """
        server = ldap3.Server(self.uri, get_info=ldap3.NONE)
        made = ldap3.Connection(server, ADMIN, ADMIN_SECRET, auto_bind=True, check_names=False)
        assert isinstance(made, ldap3.Connection)
        return made

    def add(self, ldif: str) -> None:
        """
        Entries, by way of the running server and its overlays.
        """
        done = subprocess.run(
            [program("ldapadd"), "-x", "-H", self.uri, "-D", ADMIN, "-w", ADMIN_SECRET],
            input=ldif.encode(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()

    def change(self, dn: str, **values: str | list[str]) -> None:
        """
        Replace attributes.
        """
        connection = self.admin()
        changes = {
            name: [(ldap3.MODIFY_REPLACE, [value] if isinstance(value, str) else value)]
            for name, value in values.items()
        }
        good = connection.modify(dn, changes)
        assert good, connection.result
        connection.unbind()


def person(uid: str, secret: str = AMYS, *more: str, dn: str = "", stored: str = "") -> str:
    """
    An entry.
    """
    return "\n".join(
        [
            f"dn: {dn or f'uid={uid},{PEOPLE}'}",
            "objectClass: inetOrgPerson",
            *(["objectClass: shadowAccount"] if any("shadow" in each for each in more) else []),
            f"uid: {uid}",
            "cn: Somebody",
            "sn: Body",
            f"userPassword: {stored or ssha(secret)}",
            *more,
            "\n",
        ]
    )


def tree(many: int = 0) -> str:
    """
    The base, policies, and so many people.
    """
    parts = [
        f"dn: {BASE}\nobjectClass: domain\ndc: corp\n\n",
        f"dn: {PEOPLE}\nobjectClass: organizationalUnit\nou: people\n\n",
        f"dn: {GROUPS}\nobjectClass: organizationalUnit\nou: groups\n\n",
        f"dn: {READER}\nobjectClass: person\ncn: reader\nsn: reader\n"
        f"userPassword: {ssha(READER_SECRET)}\n\n",
        f"dn: cn=default,{BASE}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: default\n"
        "pwdAttribute: userPassword\npwdLockout: FALSE\n\n",
        f"dn: cn=resetting,{BASE}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: resetting\n"
        "pwdAttribute: userPassword\npwdMustChange: TRUE\n\n",
        f"dn: cn=strict,{BASE}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: strict\n"
        "pwdAttribute: userPassword\npwdLockout: TRUE\npwdMaxFailure: 3\npwdLockoutDuration: 0\n\n",
        f"dn: cn=aging,{BASE}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: aging\n"
        "pwdAttribute: userPassword\npwdMaxAge: 86400\n\n",
        f"dn: cn=warning,{BASE}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: warning\n"
        "pwdAttribute: userPassword\npwdMaxAge: 86400\npwdExpireWarning: 86399\n\n",
    ]
    parts += [person(uid) for uid in ("amy", "bert", "carl")]
    stored = ssha(AMYS)
    parts += [
        person(f"u{number:05}", "", f"mail: u{number:05}@corp.example", stored=stored)
        for number in range(many)
    ]
    return "".join(parts)


def running(directory: Path, authority: Authority, many: int = 0, **more: str) -> Iterator[Slapd]:
    """
    A server for the time of a fixture.
    """
    directory.mkdir(parents=True, exist_ok=True)
    certificate = authority.write(
        directory / "server.pem", "ldap.corp.example", "ldap.corp.example", "127.0.0.1"
    )
    slapd = Slapd(directory, certificate, authority.write_ca(directory / "ca.pem"), **more)
    slapd.load(tree(many))
    try:
        slapd.start()
        yield slapd
    finally:
        slapd.kill()
