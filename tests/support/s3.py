"""A real S3 server (versitygw) with TLS for tests: one bucket, a user per site, each writing its own prefix alone."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.drivers.local.settings import CopyStore
from federation.runtime.pki import LOOPBACK
from tests.support.certificates import Certificates

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "hub-homes"
KEYS = {"root": "of-the-operator", "iu": "of-the-site-iu", "tacc": "of-the-site-tacc"}
READY_S = 20.0
BUILD_S = 900.0


@dataclass
class S3:
    """A running server; `data` is the folder in which it keeps objects as files."""

    root: Path
    port: int
    ca: Path
    process: subprocess.Popen[bytes]

    @property
    def data(self) -> Path:
        """The bucket."""
        return self.root / "data" / BUCKET

    def store(self, user: str) -> CopyStore:
        """As the site of that name is told."""
        keys = self.root / f"{user}.env"
        keys.write_text(f"AWS_ACCESS_KEY_ID={user}\nAWS_SECRET_ACCESS_KEY={KEYS[user]}\n")
        keys.chmod(0o600)
        return CopyStore(f"s3:https://127.0.0.1:{self.port}/{BUCKET}/homes", keys, self.ca)

    def call(self, method: str, path: str, query: str = "", body: bytes = b"", user: str = "root") -> int:
        """One signed request; its status."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=10, context=ssl.create_default_context(cafile=str(self.ca))
        )
        try:
            headers = _signed(user, method, f"127.0.0.1:{self.port}", path, query, body)
            connection.request(method, path + (f"?{query}" if query else ""), body, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()


@contextmanager
def s3_server() -> Iterator[S3]:
    """Start it with bucket, users and policy; skipped with the reason where it cannot be built, a failure under CI."""
    program = _program()
    root = Path(tempfile.mkdtemp(prefix="hubfed-s3-"))  # not in memory: policies are attributes of files
    root.chmod(0o711)
    server: S3 | None = None
    try:
        server = _start(program, root)
        _set_up(program, server)
        yield server
    finally:
        if server is not None:
            server.kill()
        shutil.rmtree(root, ignore_errors=True)


def _program() -> str:
    got = subprocess.run(
        [ROOT / "scripts/get-versitygw"], capture_output=True, text=True, timeout=BUILD_S, check=False
    )  # fmt: skip
    if got.returncode != 0:
        reason = f"no S3 server to test against: {got.stderr.strip()[-300:]}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return got.stdout.strip()


def _start(program: str, root: Path) -> S3:
    files = Certificates(root / "tls").issue("s3", hosts=LOOPBACK)
    for name in ("data", "iam"):
        (root / name).mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    words = [program, "--port", f"127.0.0.1:{port}", "--cert", str(files.cert), "--key", str(files.key)]
    words += ["--iam-dir", str(root / "iam"), "--quiet", "posix", str(root / "data")]
    env = {"PATH": os.environ["PATH"], "ROOT_ACCESS_KEY": "root", "ROOT_SECRET_KEY": KEYS["root"]}
    env |= {name: value for name, value in os.environ.items() if name == "HUBFED_TEST_RUN"}
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(words, env=env, stdout=log, stderr=log)
    server = S3(root, port, files.ca, process)
    deadline = time.monotonic() + READY_S
    while True:
        with suppress(OSError):
            server.call("GET", "/")
            return server
        assert process.poll() is None, (root / "log").read_text()
        assert time.monotonic() < deadline, "versitygw does not answer"
        time.sleep(0.05)


def _set_up(program: str, server: S3) -> None:
    assert server.call("PUT", f"/{BUCKET}") == http.client.OK
    for site in ("iu", "tacc"):
        words = [
            program,
            "admin",
            "-a",
            "root",
            "-s",
            KEYS["root"],
            "--endpoint-url",
            f"https://127.0.0.1:{server.port}",
        ]
        words += ["create-user", "-a", site, "-s", KEYS[site], "-r", "user"]
        env = {"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(server.ca)}
        subprocess.run(words, check=True, capture_output=True, timeout=60, env=env)
    policy = json.dumps({"Version": "2012-10-17", "Statement": _statements()}).encode()
    assert server.call("PUT", f"/{BUCKET}", "policy=", policy) in (http.client.OK, http.client.NO_CONTENT)


def _statements() -> list[dict[str, object]]:
    """A site writes below its own name and reads everything."""
    bucket = f"arn:aws:s3:::{BUCKET}"

    def allow(users: list[str], actions: list[str], resource: str) -> dict[str, object]:
        named = [f"s3:{action}" for action in actions]
        return {"Effect": "Allow", "Principal": {"AWS": users}, "Action": named, "Resource": [resource]}

    both = ["iu", "tacc"]
    return [
        *(allow([site], ["PutObject", "DeleteObject"], f"{bucket}/homes/{site}/*") for site in both),
        allow(both, ["GetObject"], f"{bucket}/homes/*"),
        allow(both, ["ListBucket", "GetBucketLocation"], bucket),
    ]


def _signed(user: str, method: str, host: str, path: str, query: str, body: bytes) -> dict[str, str]:
    """Headers of AWS signature version 4."""
    now = datetime.now(UTC)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{digest}"
    scope = f"{day}/us-east-1/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{KEYS[user]}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = f"Credential={user}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    return {**headers, "Authorization": f"AWS4-HMAC-SHA256 {signature}"}
