"""Certificates: who they name, what they may be used for, and how their files lie on disk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from federation.model.errors import InvalidRequest, Unavailable
from federation.runtime.disk import LocalDisk
from federation.runtime.identity_uri import coordinator_uri, user_uri
from federation.runtime.pki import LOOPBACK, Authority
from federation.runtime.tls import TlsFiles

R = "01234567-89ab-cdef-0123-456789abcdef"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def names(cert: x509.Certificate) -> x509.SubjectAlternativeName:
    return cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def purposes(cert: x509.Certificate) -> set[x509.ObjectIdentifier]:
    return set(cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def test_a_servers_certificate_carries_one_name_of_the_federation_and_its_addresses() -> None:
    issued = Authority.create("demo", NOW).issue("c1", NOW, uri=coordinator_uri(R, "c1"), hosts=(*LOOPBACK, "c1.lan"))
    cert = x509.load_pem_x509_certificate(issued.cert)
    assert names(cert).get_values_for_type(x509.UniformResourceIdentifier) == [coordinator_uri(R, "c1")]
    assert names(cert).get_values_for_type(x509.DNSName) == ["localhost", "c1.lan"]
    assert names(cert).get_values_for_type(x509.IPAddress) == [ip_address("127.0.0.1"), ip_address("::1")]
    assert purposes(cert) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_a_users_certificate_cannot_be_a_servers_nor_a_cas() -> None:
    cert = x509.load_pem_x509_certificate(Authority.create("demo", NOW).issue("ada", NOW, uri=user_uri(R, "ada")).cert)
    assert purposes(cert) == {ExtendedKeyUsageOID.CLIENT_AUTH}
    assert cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert cert.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign is False


def test_validity_is_as_given_and_begins_a_little_earlier() -> None:
    issued = Authority.create("demo", NOW).issue("ada", NOW, uri=user_uri(R, "ada"), valid=timedelta(days=2))
    cert = x509.load_pem_x509_certificate(issued.cert)
    assert cert.not_valid_after_utc == NOW + timedelta(days=2)
    assert NOW - timedelta(hours=1) < cert.not_valid_before_utc < NOW


def test_a_certificate_of_the_register_names_no_principal() -> None:
    cert = x509.load_pem_x509_certificate(Authority.create("etcd", NOW).issue("etcd", NOW, hosts=LOOPBACK).cert)
    assert names(cert).get_values_for_type(x509.UniformResourceIdentifier) == []


def test_no_certificate_is_issued_to_a_malformed_name() -> None:
    with pytest.raises(InvalidRequest):
        Authority.create("demo", NOW).issue("x", NOW, uri="hubfed://nobody/user/ada")


def test_files_are_readable_by_their_owner_only_and_are_found_again(tmp_path: Path) -> None:
    disk = LocalDisk()
    authority = Authority.open_or_create(tmp_path / "pki", disk, "demo", NOW)
    files = authority.write(authority.issue("ada", NOW, uri=user_uri(R, "ada")), tmp_path / "pki", "ada", disk)
    assert files == TlsFiles(*(tmp_path / "pki" / name for name in ("ada.ca.pem", "ada.pem", "ada.key")))
    lying = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "pki").iterdir()}
    assert lying == dict.fromkeys(("ca.key", "ca.pem", "ada.key", "ada.pem", "ada.ca.pem"), 0o600)
    again = Authority.open_or_create(tmp_path / "pki", disk, "demo", NOW)
    assert again.cert == authority.cert == files.ca.read_bytes()
    cert = x509.load_pem_x509_certificate(again.issue("bob", NOW).cert)
    cert.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.cert))


def test_a_ca_whose_key_was_exchanged_or_broken_is_refused(tmp_path: Path) -> None:
    disk = LocalDisk()
    Authority.create("one", NOW).save(tmp_path, disk)
    Authority.create("two", NOW).save(tmp_path / "two", disk)
    disk.replace(tmp_path / "ca.key", (tmp_path / "two" / "ca.key").read_bytes())
    with pytest.raises(InvalidRequest, match=r"ca\.key is not the key of ca\.pem"):
        Authority.load(tmp_path, disk)
    disk.replace(tmp_path / "ca.key", b"half")
    with pytest.raises(InvalidRequest, match="broken"):
        Authority.load(tmp_path, disk)


@pytest.mark.parametrize("lost", ["ada.key", "ada.pem", "ada.ca.pem"])
def test_a_certificate_that_was_written_in_part_only_is_seen(tmp_path: Path, lost: str) -> None:
    disk, authority = LocalDisk(), Authority.create("demo", NOW)
    files = authority.write(authority.issue("ada", NOW), tmp_path, "ada", disk)
    assert authority.has_issued(files, disk)
    content = (tmp_path / lost).read_bytes()
    for other in (None, b"half", content[: len(content) // 2]):
        disk.remove(tmp_path / lost) if other is None else disk.replace(tmp_path / lost, other)
        assert not authority.has_issued(files, disk)


def test_a_key_of_another_certificate_or_a_certificate_of_another_ca_does_not_fit(tmp_path: Path) -> None:
    disk, authority = LocalDisk(), Authority.create("demo", NOW)
    files = authority.write(authority.issue("ada", NOW), tmp_path, "ada", disk)
    assert not Authority.create("demo", NOW).has_issued(files, disk)
    disk.replace(files.key, authority.issue("ada", NOW).key)
    assert not authority.has_issued(files, disk)


def test_the_key_is_written_last(tmp_path: Path) -> None:
    class FullDisk(LocalDisk):
        def replace(self, path: Path, content: bytes, *, durable: bool = True) -> None:
            if path.suffix == ".key":
                raise Unavailable("killed before the key")
            super().replace(path, content, durable=durable)

    authority = Authority.create("demo", NOW)
    with pytest.raises(Unavailable):
        authority.write(authority.issue("ada", NOW), tmp_path, "ada", FullDisk())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ada.ca.pem", "ada.pem"]


def test_a_missing_tls_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"absent\.pem"):
        TlsFiles(tmp_path / "absent.pem", tmp_path / "a", tmp_path / "b").read()
