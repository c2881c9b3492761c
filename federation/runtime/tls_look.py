"""One TLS handshake with an edge, as a browser would make it: with the name that was typed, whatever the address is.

Certificates are verified against a bundle of CAs, the host's own if none is named. A certificate that does not hold is
fetched once more without that, to say what is wrong with it; nothing is sent over either connection.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from federation.core.tls_name import Handshake, Trouble
from federation.model.errors import InvalidRequest

EXPIRED, EARLY, WRONG_NAMES = 10, 9, frozenset({62, 64})  # X509_V_ERR_...
A_NAME = re.compile(r"[A-Za-z0-9.:*_-]{1,253}")
MOST_NAMES = 5  # of a certificate that has many


@dataclass(frozen=True, slots=True)
class EdgeTls:
    """`verifying` is for judging certificates; `blind` takes any, for what is asked of an edge whatever it shows."""

    verifying: ssl.SSLContext
    blind: ssl.SSLContext


def edge_tls(ca: Path | None) -> EdgeTls:
    """With the CAs of a PEM file, or those that this host trusts. InvalidRequest if the file has none."""
    try:
        verifying = ssl.create_default_context(cafile=str(ca) if ca is not None else None)
    except (OSError, ssl.SSLError) as error:
        wrong = f"no certificates can be read from {ca}: {error.strerror or error}"
        raise InvalidRequest(wrong, help="spec.names.ca is a PEM file with one CA or more.") from None
    blind = ssl.create_default_context()
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    return EdgeTls(verifying, blind)


async def shake_hands(tls: EdgeTls, address: str, host: str, timeout_s: float) -> Handshake:
    """What came of it. OSError or TimeoutError if not even a connection was made: that is no matter of TLS."""
    seen = Handshake(address, host)
    async with asyncio.timeout(timeout_s):
        reader, writer = await _connected(address)
    del reader
    try:
        async with asyncio.timeout(timeout_s):
            await writer.start_tls(tls.verifying, server_hostname=host)
        return replace(seen, ends=_ends(writer.get_extra_info("peercert")))
    except TimeoutError:
        return replace(seen, trouble=Trouble.SILENT)
    except ssl.SSLCertVerificationError as error:
        shown = await _shown(tls, address, host, timeout_s)
        return _described(replace(seen, trouble=_trouble(error.verify_code), detail=error.verify_message), shown)
    except (ssl.SSLError, OSError) as error:
        return replace(seen, trouble=Trouble.REFUSED, detail=_said(error))
    finally:
        writer.transport.abort()


def _trouble(code: int) -> Trouble:
    if code in WRONG_NAMES:
        return Trouble.WRONG_NAME
    return {EXPIRED: Trouble.EXPIRED, EARLY: Trouble.EARLY}.get(code, Trouble.UNTRUSTED)


async def _connected(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    name, _, port = address.rpartition(":")
    return await asyncio.open_connection(name.strip("[]"), int(port))


async def _shown(tls: EdgeTls, address: str, host: str, timeout_s: float) -> bytes | None:
    """The certificate itself; None: it was not shown a second time."""
    writer = None
    try:
        async with asyncio.timeout(timeout_s):
            _reader, writer = await _connected(address)
            await writer.start_tls(tls.blind, server_hostname=host)
            der: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            return der
    except (OSError, TimeoutError):  # SSLError is an OSError
        return None
    finally:
        if writer is not None:
            writer.transport.abort()


def _described(seen: Handshake, der: bytes | None) -> Handshake:
    if der is None:
        return seen
    names: list[str] = []
    with suppress(Exception):  # what others issue may be odd in many ways, and this only adds words
        certificate = x509.load_der_x509_certificate(der)
        seen = replace(seen, starts=certificate.not_valid_before_utc, ends=certificate.not_valid_after_utc)
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        said = [str(name.value) for name in found if isinstance(name, x509.DNSName | x509.IPAddress)]
        names = [name for name in said if A_NAME.fullmatch(name)]  # they go to somebody's terminal
    more = (f"{len(names) - MOST_NAMES} more",) if len(names) > MOST_NAMES else ()
    return replace(seen, names=(*names[:MOST_NAMES], *more))


def _ends(certificate: Any) -> datetime | None:
    if not certificate or "notAfter" not in certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)


def _said(error: OSError) -> str:
    """Without the place in the library's source, which differs from host to host."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return error.strerror or str(error) or type(error).__name__
