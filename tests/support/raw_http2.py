"""HTTP/2 by hand, as much as a broken or hostile client needs: one request that is never finished."""

from __future__ import annotations

import socket
import ssl
import struct

from federation.runtime.tls import TlsFiles

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
END_HEADERS = 4


def half_a_request(address: tuple[str, int], tls: TlsFiles, path: str, message: bytes) -> None:
    """Open a call, announce `message` and send half of it, then cut the connection with a reset."""
    context = ssl.create_default_context(cafile=str(tls.ca))
    context.load_cert_chain(tls.cert, tls.key)
    context.set_alpn_protocols(["h2"])
    plain = socket.create_connection(address, timeout=5)
    # a close with linger 0 sends RST instead of FIN
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with context.wrap_socket(plain, server_hostname="localhost") as secure:
        secure.sendall(PREFACE + _frame(SETTINGS, 0, 0, b""))
        headers = [
            (":method", "POST"),
            (":scheme", "https"),
            (":path", path),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
        ]
        secure.sendall(_frame(HEADERS, END_HEADERS, 1, b"".join(_literal(*header) for header in headers)))
        announced = struct.pack(">BI", 0, len(message)) + message[: len(message) // 2]
        secure.sendall(_frame(DATA, 0, 1, announced))
        secure.recv(64)  # the server has read our preface, so it is in the middle of the call


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(name: str, value: str) -> bytes:
    """A header field that is not indexed, without compression (names and values here are short)."""
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
