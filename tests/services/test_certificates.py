"""
Certificates that would not do: refused at the start, each with its reason.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mailaccess.services.certificates import (
    BrokenCertificates,
    fingerprint,
    load_certificates,
)
from mailaccess.services.settings import TLSSettings


def problems(**files: Path) -> list[tuple[str, str]]:
    with pytest.raises(BrokenCertificates) as caught:
        load_certificates(TLSSettings(**{name: str(path) for name, path in files.items()}))
    return caught.value.problems


def split(pem: Path) -> tuple[bytes, bytes]:
    """
    Key and certificate of a file that has both.
    """
    key, mark, certificate = pem.read_bytes().partition(b"-----BEGIN CERTIFICATE")
    return key, mark + certificate


def test_key_and_certificate_may_be_in_two_files(pem: Path, tmp_path: Path) -> None:
    key, certificate = split(pem)
    (tmp_path / "c.pem").write_bytes(certificate)
    (tmp_path / "k.pem").write_bytes(key)
    (tmp_path / "k.pem").chmod(0o640)
    found = load_certificates(
        TLSSettings(certificate=str(tmp_path / "c.pem"), key=str(tmp_path / "k.pem"))
    )
    assert found.default.names == ("mail.example.org",)


def test_a_key_of_another_certificate_is_refused(
    pem: Path, tmp_path: Path, certificate_writer: Any
) -> None:
    """TLS-15."""
    certificate_writer(tmp_path / "other.pem", "mail.example.org")
    ((option, text),) = problems(certificate=pem, key=tmp_path / "other.pem")
    assert option == "key"
    assert "does not belong" in text


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602])
def test_a_key_that_everybody_may_read_is_refused(pem: Path, mode: int) -> None:
    """TLS-15."""
    pem.chmod(mode)
    ((option, text),) = problems(certificate=pem)
    assert option == "certificate"
    assert "everybody may read" in text
    assert f"chmod o-rwx {pem}" in text


@pytest.mark.parametrize(
    ("began", "days", "said"), [(20, -10, "expired on"), (-5, 10, "is not valid before")]
)
def test_certificates_out_of_their_time_are_refused(
    tmp_path: Path, certificate_writer: Any, began: int, days: int, said: str
) -> None:
    """TLS-15."""
    certificate_writer(tmp_path / "x.pem", "mail.example.org", began=began, days=days)
    ((_, text),) = problems(certificate=tmp_path / "x.pem")
    assert said in text


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (lambda: rsa.generate_private_key(65537, 1024), "RSA key of 1024 bits"),
        (lambda: ec.generate_private_key(ec.SECP192R1()), "key of 192 bits"),
    ],
    ids=["rsa", "curve"],
)
def test_weak_keys_are_refused(
    tmp_path: Path, certificate_writer: Any, key: Any, said: str
) -> None:
    """TLS-15."""
    certificate_writer(tmp_path / "x.pem", "mail.example.org", key=key())
    ((_, text),) = problems(certificate=tmp_path / "x.pem")
    assert said in text


def test_files_that_are_missing_or_empty_are_all_named(tmp_path: Path) -> None:
    """TLS-15."""
    (tmp_path / "empty.pem").touch(0o600)
    found = problems(certificate=tmp_path / "none.pem", key=tmp_path / "empty.pem")
    assert [option for option, _ in found] == ["certificate", "key"]
    assert "No such file" in found[0][1]
    assert "holds no private key" in found[1][1]


def test_a_key_with_a_passphrase_is_refused(pem: Path, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(split(pem)[0], None)
    (tmp_path / "k.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
    )
    (tmp_path / "k.pem").chmod(0o600)
    ((_, text),) = problems(certificate=pem, key=tmp_path / "k.pem")
    assert "passphrase" in text


def test_a_chain_in_the_wrong_order_is_refused(
    pem: Path, tmp_path: Path, certificate_writer: Any
) -> None:
    certificate_writer(tmp_path / "other.pem", "ca.example.org")
    pem.write_bytes(pem.read_bytes() + split(tmp_path / "other.pem")[1])
    ((_, text),) = problems(certificate=pem)
    assert "not in order" in text


def test_all_files_of_the_directory_are_checked(
    pem: Path, tmp_path: Path, certificate_writer: Any
) -> None:
    """TLS-16: what clients may ask for is known before they ask."""
    names = tmp_path / "names"
    names.mkdir()
    certificate_writer(names / "a.example.net.pem", "b.example.net")
    certificate_writer(names / "c.example.net.pem", "c.example.net", mode=0o644)
    certificate_writer(names / "d.example.net.pem", "*.example.net")
    (names / "README").write_text("no certificate")
    found = problems(certificate=pem, names=names)
    assert len(found) == 2
    assert "not a certificate for a.example.net" in found[0][1]
    assert "everybody may read" in found[1][1]
    assert "cannot be read" in problems(certificate=pem, names=tmp_path / "none")[0][1]


def test_a_change_of_any_file_is_seen(pem: Path, tmp_path: Path, certificate_writer: Any) -> None:
    names = tmp_path / "names"
    names.mkdir()
    settings = TLSSettings(certificate=str(pem), names=str(names))
    first = fingerprint(settings)
    assert fingerprint(settings) == first
    certificate_writer(names / "a.example.net.pem", "a.example.net")
    second = fingerprint(settings)
    assert second != first
    (names / "a.example.net.pem").unlink()
    certificate_writer(pem, "mail.example.org")
    assert fingerprint(settings) not in (first, second)


def test_openssl_agrees_that_the_test_certificates_are_good(pem: Path) -> None:
    """What the other tests stand on."""
    done = subprocess.run(
        ["openssl", "x509", "-in", pem, "-noout", "-checkend", "60"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0


@pytest.mark.parametrize("options", [("certificate",), ("certificate", "key")])
def test_a_file_with_certificate_and_key_that_cannot_be_read_is_one_problem(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    ((option, text),) = problems(**dict.fromkeys(options, tmp_path / "none.pem"))
    assert option == "certificate"
    assert "cannot be read" in text


def test_certificate_and_key_in_two_files_that_cannot_be_read_are_two_problems(
    tmp_path: Path,
) -> None:
    found = problems(certificate=tmp_path / "c.pem", key=tmp_path / "k.pem")
    assert [option for option, _ in found] == ["certificate", "key"]
