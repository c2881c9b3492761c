"""The key of the zone: one secret in a file of one's own; whatever is wrong, the file's content is never shown."""

from __future__ import annotations

import base64
from pathlib import Path

import dns.tsig
import pytest

from federation.dns.name_server import NameServer
from federation.dns.rfc2136 import ZoneNames, read_key
from federation.model.errors import InvalidRequest
from tests.support.bind import new_key, secret_of

SECRET = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def key_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "names.key"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_secret_in_base64_with_or_without_an_end_of_line(tmp_path: Path) -> None:
    key = read_key(key_file(tmp_path, f"{SECRET}\n".encode()), "hubfed", "hmac-sha512")
    assert (secret_of(key), key.algorithm) == (SECRET, dns.tsig.HMAC_SHA512)


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (SECRET.encode(), 0o640, "can be read by others"),
        (SECRET.encode(), 0o604, "can be read by others"),
        (f'key "hubfed" {{ secret "{SECRET}"; }};'.encode(), 0o600, "no secret"),
        (b"c2hvcnQ=", 0o600, "no secret of 16 bytes"),
        (b"", 0o600, "no secret"),
        (b"\xff\xfe", 0o600, "not base64"),
    ],
)
def test_anything_else_is_refused_without_showing_it(tmp_path: Path, content: bytes, mode: int, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as refused:
        read_key(key_file(tmp_path, content, mode), "hubfed", "hmac-sha256")
    assert SECRET not in f"{refused.value.message} {refused.value.help}"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"names\.key.*No such file"):
        read_key(tmp_path / "names.key", "hubfed", "hmac-sha256")


def test_neither_a_server_nor_a_driver_shows_its_key() -> None:
    key = new_key()
    shown = repr(ZoneNames("hubs.test", NameServer("192.0.2.53:53", key), (), 60, 80))
    assert secret_of(key) not in shown
    assert repr(key.secret) not in shown


@pytest.mark.parametrize(("port", "url"), [(80, "http://a.b.c"), (443, "https://a.b.c"), (8000, "http://a.b.c:8000")])
def test_students_type_no_port_where_the_web_has_one(port: int, url: str) -> None:
    assert ZoneNames("b.c", NameServer("192.0.2.53:53"), (), 60, port, https=port == 443).url_of("a.b.c") == url
