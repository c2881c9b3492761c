"""What a fencer takes of a kubeconfig. That it then reaches a cluster is seen on a real one (tests/e2e/kubernetes)."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from agents.drivers.kubernetes.blocking_api import Access
from federation.model.errors import InvalidRequest
from tests.support.certificates import Certificates


def written(tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
    path = tmp_path / "kubeconfig"
    body = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(body))
    return path


def test_a_token_is_shown_and_one_in_a_file_is_read_each_time(tmp_path: Path) -> None:
    server = {"server": "https://k.example.edu:6443/clusters/one/"}
    access = Access.read(written(tmp_path, server, {"token": "t1"}))
    assert (access.host, access.port, access.prefix) == ("k.example.edu", 6443, "/clusters/one")
    assert access.headers() == {"Authorization": "Bearer t1"}
    access = Access.read(written(tmp_path, server, {"tokenFile": "token"}))
    for token in ("t2", "t3"):
        (tmp_path / "token").write_text(f"{token}\n")
        assert access.headers() == {"Authorization": f"Bearer {token}"}


def test_certificates_are_taken_from_files_and_from_the_kubeconfig_itself(tmp_path: Path) -> None:
    tls = Certificates(tmp_path).user("ada")
    inside = {name: base64.b64encode(getattr(tls, part).read_bytes()).decode() for name, part in FILES.items()}
    beside = {name: getattr(tls, part).name for name, part in FILES.items()}
    for form in ({f"{name}-data": said for name, said in inside.items()}, beside):
        authority = {name: said for name, said in form.items() if "authority" in name}
        own = {name: said for name, said in form.items() if "client" in name}
        access = Access.read(written(tmp_path, {"server": "https://k.example.edu", **authority}, own))
        connection = access.connect()  # reads them; nothing is sent
        assert connection.port == 443
        assert access.headers() == {}


FILES = {"certificate-authority": "ca", "client-certificate": "cert", "client-key": "key"}


@pytest.mark.parametrize("asked", ["exec", "auth-provider", "username"])
def test_what_would_have_to_be_asked_elsewhere_is_refused_with_what_to_do(tmp_path: Path, asked: str) -> None:
    path = written(tmp_path, {"server": "https://k.example.edu"}, {asked: {"command": "login"}})
    with pytest.raises(InvalidRequest) as refused:
        Access.read(path)
    assert asked in refused.value.message
    assert "a certificate or a token" in refused.value.help


@pytest.mark.parametrize("content", ["", "{}", "[]", "current-context: nobody\ncontexts: []", "\x00"])
def test_what_is_no_kubeconfig_is_said(tmp_path: Path, content: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    with pytest.raises(InvalidRequest) as refused:
        Access.read(path)
    assert str(path) in refused.value.message


def test_a_server_without_tls_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="https"):
        Access.read(written(tmp_path, {"server": "http://k.example.edu"}, {"token": "t"}))
