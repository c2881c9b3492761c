"""Mutual TLS: which files a process has, and gRPC credentials made of them. Both ends always show a certificate.

It reads files and builds credentials; who a certificate names is `identity_uri`'s matter, making them is `pki`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc

from federation.model.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of three PEM files: the CA that vouches for the other end, our certificate, our private key."""

    ca: Path
    cert: Path
    key: Path

    def read(self) -> tuple[bytes, bytes, bytes]:
        """Contents of (ca, cert, key). Raises InvalidRequest that names the file that cannot be read."""
        return _read(self.ca), _read(self.cert), _read(self.key)


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Credentials of a server that refuses every peer without a certificate of the CA."""
    ca, cert, key = files.read()
    return grpc.ssl_server_credentials([(key, cert)], root_certificates=ca, require_client_auth=True)


def channel_credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    """Credentials of a client that trusts this CA only and shows our certificate."""
    ca, cert, key = files.read()
    return grpc.ssl_channel_credentials(root_certificates=ca, private_key=key, certificate_chain=cert)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRequest(
            f"cannot read {path}: {error.strerror}", help="Check the `tls` paths in the configuration and their owner."
        ) from error
