"""Where copies of homes lie: one repository per (writing site, hub) in a folder or an S3 bucket, and the keys to it."""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from agents.drivers.local.settings import CopyStore
from federation.model.errors import DriverError

S3 = "s3:"
KEY_NAMES = re.compile(r"AWS_[A-Z_]+")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
OTHERS = 0o077
HTTPS, ANSWER_S = 443, 5.0


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository. `folder` is None on S3."""

    site: str
    hub: str
    url: str
    folder: Path | None

    @classmethod
    def of(cls, store: CopyStore, site: str, hub: str) -> Repository:
        """That of `site` for `hub`."""
        for name in (site, hub):
            if NAME.fullmatch(name) is None:
                raise DriverError(f"{name!r} is not the name of a site or hub", delay_s=None)
        url = f"{store.place.rstrip('/')}/{site}/{hub}"
        return cls(site, hub, url, None if store.place.startswith(S3) else Path(url))


def store_environment(store: CopyStore) -> dict[str, str]:
    """The keys of the store for restic's environment: never on a command line. DriverError if they cannot be used."""
    if store.credentials is None:
        return {}
    try:
        mode = store.credentials.stat().st_mode
        lines = store.credentials.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DriverError(f"the keys of the store of copies cannot be read from {store.credentials}: {error}") from None
    if mode & OTHERS:
        raise DriverError(f"{store.credentials} holds keys and can be read by others", help="chmod 600 it.")
    pairs = [line.partition("=") for line in lines if line.strip() and not line.lstrip().startswith("#")]
    wrong = [name.strip() for name, _, _ in pairs if KEY_NAMES.fullmatch(name.strip()) is None]
    if wrong:
        raise DriverError(f"{store.credentials} has a line that is no AWS_... setting (the line is not shown)")
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


async def unreachable(store: CopyStore) -> str:
    """Why an S3 store does not answer at all; empty if it does, or for a folder."""
    if not store.place.startswith(S3):
        return ""
    address = urlsplit(store.place.removeprefix(S3))
    try:
        async with asyncio.timeout(ANSWER_S):
            _reader, writer = await asyncio.open_connection(address.hostname, address.port or HTTPS)
    except (OSError, TimeoutError) as error:
        return f"the store of copies at {address.netloc} cannot be reached ({error or 'no answer'})"
    writer.close()
    return ""


def store_refusal(store: CopyStore, site: str) -> str:
    """Why the store cannot be used by `site`, as far as can be seen without a password; empty if it can."""
    try:
        store_environment(store)
    except DriverError as error:
        return error.message
    if store.cacert is not None and not store.cacert.is_file():
        return f"the certificates {store.cacert} for the store of copies are not there"
    if store.place.startswith(S3):
        return ""
    root, own = Path(store.place), Path(store.place, site)
    if not root.is_dir():
        return f"the store of copies {root} is not there: is it mounted?"
    probed = own if own.is_dir() else root
    if not os.access(probed, os.W_OK | os.X_OK):
        return f"{site} may not write to {probed}"
    return ""
