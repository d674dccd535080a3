"""Certificates for brokers and clients, made for a day: an authority of our own and what it signs, as PEM."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_DAY = timedelta(days=1)


class Certificate(NamedTuple):
    """Where a certificate lies, its key, and both together, as Kafka takes a key store."""

    cert_file: Path
    key_file: Path
    store: Path


class Authority:
    """Signs certificates, which lie in `folder`; `ca_file` is what those must trust who are shown them."""

    def __init__(self, folder: Path, name: str = "churnwatch test authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        own = _builder(self._name, self._name, self._key, datetime.now(UTC) - _DAY).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        folder.mkdir(parents=True, exist_ok=True)
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(own.sign(self._key, SHA256()).public_bytes(Encoding.PEM))

    def issue(
        self, name: str, hosts: Sequence[str] = (), *, begins: datetime | None = None, password: str = ""
    ) -> Certificate:
        """A certificate of `name` for servers on `hosts` and for clients, good for two days from `begins` on.

        That is yesterday unless said otherwise. The key is encrypted if there is a `password`.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_named(name), self._name, key, begins or datetime.now(UTC) - _DAY)
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        cert_pem = builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM)
        encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        return Certificate(
            self._write(f"{name}.cert.pem", cert_pem),
            self._write(f"{name}.key.pem", key_pem),
            self._write(f"{name}.pem", key_pem + cert_pem),
        )

    def _write(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        return path


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begins: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + 2 * _DAY)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
