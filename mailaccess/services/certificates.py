"""
Certificates and keys as files: read, checked, and told apart by server name.

    certificates = load_certificates(TLSSettings(certificate="/etc/ssl/mail.pem"), now)
    certificates.find("mail.example.org").serial

Nothing is half loaded: either all files are good, or L{BrokenCertificates} says what is wrong with
each.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from datetime import UTC, datetime

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from .settings import TLSSettings

LEAST_RSA_BITS = 2048
LEAST_CURVE_BITS = 224
"""RFC 9325 section 4.3 to 4.5."""

MOST_NAMES = 4096
"""Files in the directory of names: what is loaded stays in memory (TLS-16)."""

MOST_OCTETS = 1 << 20

PrivateKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)


class BrokenCertificates(Exception):
    """
    What is wrong with the files.

    @ivar problems: the option of C{[tls]} that names the file, and C{what is wrong; what to do}
    """

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(text for _, text in problems))
        self.problems = problems


@attrs.frozen(eq=False)
class Certificate:
    """
    One certificate that may be shown to clients, with its key.

    @ivar chain: those above it, in order
    """

    leaf: x509.Certificate
    key: PrivateKey = attrs.field(repr=False)
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def serial(self) -> str:
        """
        Serial number in hexadecimal digits.
        """
        return f"{self.leaf.serial_number:x}"

    @property
    def expires(self) -> datetime:
        """
        The last moment it is good for, UTC.
        """
        return self.leaf.not_valid_after_utc

    @property
    def names(self) -> tuple[str, ...]:
        """
        DNS names it is for, in lower case.
        """
        try:
            found = self.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return ()
        return tuple(it.lower() for it in found.value.get_values_for_type(x509.DNSName))


@attrs.frozen(eq=False)
class Certificates:
    """
    All there is to choose from.

    @ivar names: by server name in lower case; C{*.example.org} for all one level below
    @ivar stamp: changes when a file does
    @ivar kept: what is wrong with files of names, for which those from before are shown
    @ivar authorities: those that sign client certificates
    """

    default: Certificate
    names: Mapping[str, Certificate] = attrs.field(factory=dict)
    stamp: object = None
    authorities: tuple[x509.Certificate, ...] = ()
    kept: tuple[str, ...] = ()

    def find(self, name: str) -> Certificate:
        """
        The one for a server name; the default for names that are not known (TLS-16).
        """
        name = name.lower().rstrip(".")
        found = self.names.get(name)
        if found is None:
            found = self.names.get("*." + name.partition(".")[2])
        return found if found is not None else self.default


def load_certificates(
    settings: TLSSettings, now: datetime | None = None, before: Certificates | None = None
) -> Certificates:
    """
    Read and check all files that C{[tls]} names. Blocks on the disk.

    @param before: those in use: one name's file that is not good holds up no other's renewal, and
        the name goes on with what it had
    @raise BrokenCertificates: one of them is not good
    """
    moment = now if now is not None else datetime.now(UTC)
    stamp = fingerprint(settings)
    problems: list[tuple[str, str]] = []
    default = _load(settings.certificate, settings.key, ("certificate", "key"), moment, problems)
    faults: list[tuple[str, str]] = []
    names = _load_names(settings.names, moment, faults)
    if before is None:
        problems += faults
    elif faults:
        gone = not os.path.isdir(settings.names)
        there = [name for name, _ in named_files(settings.names, [])]
        for name in before.names if gone else there:
            if name not in names and name in before.names:
                names[name] = before.names[name]
    authorities: list[x509.Certificate] | None = []
    if settings.client_ca:
        authorities = _read_chain(settings.client_ca, "client_ca", problems)
    if problems or default is None:
        raise BrokenCertificates(problems)
    kept = tuple(text for _, text in faults)
    return Certificates(default, names, stamp, tuple(authorities or ()), kept)


def _load_names(
    directory: str, moment: datetime, problems: list[tuple[str, str]]
) -> dict[str, Certificate]:
    names: dict[str, Certificate] = {}
    for name, path in named_files(directory, problems):
        found = _load(path, "", ("names", "names"), moment, problems)
        if found is None:
            continue
        if _covers(found, name):
            names[name] = found
        else:
            problems.append(("names", f"{path} is not a certificate for {name}; rename the file"))
    return names


def fingerprint(settings: TLSSettings) -> object:
    """
    What the files look like from outside (time, size, inode): equal unless one was changed or
    replaced.
    """
    paths = [settings.certificate, settings.key, settings.client_ca]
    paths += [path for _, path in named_files(settings.names, [])]
    seen: list[tuple[object, ...]] = []
    for path in filter(None, paths):
        try:
            it = os.stat(path)
        except OSError as error:
            seen.append((path, error.errno))
        else:
            seen.append((path, it.st_mtime_ns, it.st_size, it.st_ino, it.st_dev))
    return tuple(seen)


def named_files(directory: str, problems: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """
    Names in lower case and files of the directory of names; what is wrong is added to C{problems}.
    """
    if not directory:
        return []
    try:
        files = sorted(each for each in os.listdir(directory) if each.endswith(".pem"))
    except OSError as error:
        problems.append(
            ("names", f"{directory} cannot be read ({error.strerror}); make it readable")
        )
        return []
    if len(files) > MOST_NAMES:
        problems.append(("names", f"has more than {MOST_NAMES} files; keep to that"))
    return [
        (each.removesuffix(".pem").lower(), os.path.join(directory, each))
        for each in files[:MOST_NAMES]
    ]


def _covers(certificate: Certificate, name: str) -> bool:
    one_above = "*." + name.partition(".")[2]
    return name in certificate.names or one_above in certificate.names


def _load(
    certificate_path: str,
    key_path: str,
    options: tuple[str, str],
    now: datetime,
    problems: list[tuple[str, str]],
) -> Certificate | None:
    """
    One certificate with its key; None, and the reasons added to C{problems}, if it is not good.
    """
    before = len(problems)
    chain = _read_chain(certificate_path, options[0], problems)
    key = _read_key(key_path or certificate_path, options[1 if key_path else 0], problems)
    if chain is None or key is None:
        return None
    leaf = chain[0]
    if leaf.public_key() != key.public_key():
        text = f"{key_path or certificate_path} does not belong to the certificate;"
        problems.append((options[1 if key_path else 0], f"{text} name its own key"))
    _check_dates(leaf, certificate_path, options[0], now, problems)
    if len(chain) > 1 and leaf.issuer != chain[1].subject:
        text = f"{certificate_path} is not in order; put the server's first, then its issuer"
        problems.append((options[0], text))
    if len(problems) > before:
        return None
    return Certificate(leaf, key, tuple(chain[1:]))


def _read_file(path: str, option: str, problems: list[tuple[str, str]]) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(MOST_OCTETS)
    except OSError as error:
        text = f"{path} cannot be read ({error.strerror}); name a file this program may read"
        # A file with certificate and key is read twice, and is one problem.
        if not problems or problems[-1][1] != text:
            problems.append((option, text))
        return None


def _read_chain(
    path: str, option: str, problems: list[tuple[str, str]]
) -> list[x509.Certificate] | None:
    data = _read_file(path, option, problems)
    if data is None:
        return None
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        problems.append((option, f"{path} holds no certificate; it has to be a PEM file"))
        return None


def _read_key(path: str, option: str, problems: list[tuple[str, str]]) -> PrivateKey | None:
    data = _read_file(path, option, problems)
    if data is None:
        return None
    mode = os.stat(path).st_mode
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        problems.append((option, f"{path} holds a key that everybody may read; chmod o-rwx {path}"))
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError:
        problems.append((option, f"{path} needs a passphrase; store the key without one"))
        return None
    except (ValueError, UnsupportedAlgorithm):
        problems.append((option, f"{path} holds no private key; add it, or name its file in key"))
        return None
    weak = _weakness(key)
    if weak:
        problems.append((option, f"{path} {weak}; make a new one"))
    if not isinstance(key, PrivateKey):
        return None
    return key


def _weakness(key: object) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < LEAST_RSA_BITS:
            return f"holds an RSA key of {key.key_size} bits, the least is {LEAST_RSA_BITS}"
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        if key.key_size < LEAST_CURVE_BITS:
            return f"holds a key of {key.key_size} bits, the least is {LEAST_CURVE_BITS}"
    elif not isinstance(key, PrivateKey):
        return "holds a key that is neither RSA nor on an elliptic curve"
    return ""


def _check_dates(
    leaf: x509.Certificate,
    path: str,
    option: str,
    now: datetime,
    problems: list[tuple[str, str]],
) -> None:
    if now > leaf.not_valid_after_utc:
        text = f"{path} expired on {leaf.not_valid_after_utc:%Y-%m-%d}; renew it"
        problems.append((option, text))
    elif now < leaf.not_valid_before_utc:
        text = f"{path} is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        problems.append((option, f"{text}; set the clock, or wait"))
