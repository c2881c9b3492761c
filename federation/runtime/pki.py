"""Makes certificates: a CA of its own, and certificates that it issues. For `fedctl up`, tests and small federations.

The control plane and the register have one CA each, so that a certificate of an agent or a user never opens etcd.
Keys are ECDSA P-256; all files are 0600 and replaced whole. A larger installation brings its own CA: only the URI in
the certificate matters (`identity_uri`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from federation.model.errors import InvalidRequest
from federation.runtime.disk import Disk
from federation.runtime.identity_uri import parse
from federation.runtime.tls import TlsFiles

LOOPBACK = ("localhost", "127.0.0.1", "::1")
CA_VALID = timedelta(days=3650)
CERT_VALID = timedelta(days=397)
SKEW = timedelta(minutes=10)  # a host whose clock is a little behind accepts a new certificate at once
MOST_COMMON_NAME = 64  # X.520


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key, PEM."""

    cert: bytes
    key: bytes


class Authority:
    """A CA. Its private key never leaves this object except through `save`."""

    def __init__(self, cert: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._cert = cert
        self._key = key

    @classmethod
    def create(cls, name: str, now: datetime, valid: timedelta = CA_VALID) -> Authority:
        """A fresh CA whose certificate carries `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(name), _name(name), key.public_key(), now, valid)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, directory: Path, disk: Disk) -> Authority | None:
        """The CA that `save` wrote, or None if there is none. Raises InvalidRequest if the files are broken."""
        cert, key = disk.read(directory / "ca.pem"), disk.read(directory / "ca.key")
        if cert is None or key is None:
            return None
        try:
            private = load_pem_private_key(key, password=None)
            certificate = x509.load_pem_x509_certificate(cert)
        except ValueError as error:
            raise InvalidRequest(f"{directory}: ca.pem or ca.key is broken: {error}") from error
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != certificate.public_key():
            raise InvalidRequest(f"{directory}: ca.key is not the key of ca.pem")
        return cls(certificate, private)

    @classmethod
    def open_or_create(cls, directory: Path, disk: Disk, name: str, now: datetime) -> Authority:
        """The CA of this directory, made and saved if there is none."""
        found = cls.load(directory, disk)
        if found is None:
            found = cls.create(name, now)
            found.save(directory, disk)
        return found

    @property
    def cert(self) -> bytes:
        """The CA's certificate, PEM."""
        return self._cert.public_bytes(Encoding.PEM)

    def save(self, directory: Path, disk: Disk) -> None:
        """Write `ca.key`, then `ca.pem`: a CA without its key is never found."""
        disk.replace(directory / "ca.key", _pem(self._key))
        disk.replace(directory / "ca.pem", self.cert)

    def issue(
        self,
        common_name: str,
        now: datetime,
        *,
        uri: str | None = None,
        hosts: tuple[str, ...] = (),
        valid: timedelta = CERT_VALID,
    ) -> Issued:
        """A certificate for `common_name` (only for people to read).

        `uri` says who it is (`identity_uri`); members of the register have none. `hosts` are the names and addresses
        at which it serves: with none it can only be shown by a client, so that no user can pose as a coordinator.
        """
        if uri is not None:
            parse(uri)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(common_name), self._cert.subject, key.public_key(), now, valid)
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])]
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(authority, critical=False)
        names = [*([x509.UniformResourceIdentifier(uri)] if uri else []), *(_host(host) for host in hosts)]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return Issued(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM), _pem(key))

    def write(self, issued: Issued, directory: Path, name: str, disk: Disk) -> TlsFiles:
        """Write `NAME.pem`, `NAME.ca.pem` (what the holder trusts) and `NAME.key`, so that the three can travel. The key
        comes last: where one is, the others are."""
        files = TlsFiles(ca=directory / f"{name}.ca.pem", cert=directory / f"{name}.pem", key=directory / f"{name}.key")
        disk.replace(files.cert, issued.cert)
        disk.replace(files.ca, self.cert)
        disk.replace(files.key, issued.key)
        return files

    def has_issued(self, files: TlsFiles, disk: Disk) -> bool:
        """Whether the three are there, belong together and come from this CA; after a start that was killed they may
        not."""
        cert, key, ca = disk.read(files.cert), disk.read(files.key), disk.read(files.ca)
        if cert is None or key is None or ca != self.cert:
            return False
        try:
            certificate = x509.load_pem_x509_certificate(cert)
            certificate.verify_directly_issued_by(self._cert)
            return load_pem_private_key(key, password=None).public_key() == certificate.public_key()
        except (ValueError, TypeError, InvalidSignature):
            return False


def serves_as(cert: bytes | None, hosts: tuple[str, ...]) -> bool:
    """Whether a certificate carries all these names and addresses."""
    if cert is None:
        return False
    try:
        extensions = x509.load_pem_x509_certificate(cert).extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return not hosts
    return all(_host(host) in names for host in hosts)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, valid: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + valid)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:MOST_COMMON_NAME])])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
