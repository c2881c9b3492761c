"""Names in a zone: any primary that takes signed RFC 2136 updates (BIND, Knot, PowerDNS).

What a write compares is compared again by the server, in the same message (`zone_records`). Outside is what the
resolvers of the federation file say, each of them; they are asked for what they would tell a student.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.message
import dns.name
import dns.rdatatype
import dns.tsig

from federation.dns.interface import NameCapabilities, NameRecord
from federation.dns.name_server import NameServer
from federation.dns.zone_records import ADDRESS_TYPES, NameInZone, change, mark_of, removal
from federation.model.errors import Conflict, InvalidRequest, Refused, StaleEpoch

OTHERS = 0o077
LEAST_SECRET = 16  # bytes
HTTP, HTTPS = 80, 443


@dataclass(frozen=True, slots=True)
class ZoneNames:
    """`NameDriver`. `outside` may be empty: then the server itself is asked. `edge_port`: where students reach edges,
    by https if `https`."""

    zone: str
    server: NameServer
    outside: tuple[NameServer, ...]
    most_ttl_s: int
    edge_port: int
    https: bool = False

    @property
    def capabilities(self) -> NameCapabilities:
        seen_by = ", ".join(one.address for one in self.outside) or f"{self.server.address}, which is not outside"
        return NameCapabilities(prerequisite=True, most_ttl_s=self.most_ttl_s, seen_by=seen_by, zone=self.zone)

    def url_of(self, host: str) -> str:
        """The same for every site: a class moves, its address does not."""
        scheme, usual = ("https", HTTPS) if self.https else ("http", HTTP)
        return f"{scheme}://{host}" if self.edge_port == usual else f"{scheme}://{host}:{self.edge_port}"

    async def found(self, host: str) -> NameInZone:
        """Everything that the primary holds of a host now."""
        return await self._look(self.server, host, recurse=False)

    async def read(self, host: str) -> NameRecord | None:
        return (await self.found(host)).record(self.edge_port)

    async def write(self, record: NameRecord, expected: NameRecord | None) -> None:
        self._require_below_zone(record.host)
        found = await self.found(record.host)
        there = found.record(self.edge_port)
        if there is not None and there.hub == record.hub and there.epoch > record.epoch:
            raise StaleEpoch(f"{record.host} is at epoch {there.epoch}, not writing {record.epoch}")
        if there != expected:
            raise Conflict(f"{record.host} is not what was expected: nothing was written")
        try:
            await self.server.send(change(self.zone, found, record, self.edge_port))
        except Conflict:
            if there is None:
                await self._say_whose(record.host)
            raise

    async def remove(self, host: str, expected: NameRecord) -> None:
        found = await self.found(host)
        there = found.record(self.edge_port)
        if there is None:
            return
        if there != expected:
            raise Conflict(f"{host} is not what was expected: nothing was removed")
        await self.server.send(removal(self.zone, found))

    async def seen_from_outside(self, host: str) -> NameRecord | None:
        asked = self.outside or (self.server,)
        looks = await asyncio.gather(*(self._look(one, host, recurse=True) for one in asked), return_exceptions=True)
        seen: dict[str, NameRecord | None] = {}
        for one, look in zip(asked, looks, strict=True):
            if isinstance(look, BaseException):
                raise look
            seen[one.address] = look.record(self.edge_port)
        first = next(iter(seen.values()))
        if any(record != first for record in seen.values()):
            views = ", ".join(f"{address} sees {_shown(record)}" for address, record in seen.items())
            raise Conflict(f"{host} is not the same everywhere yet: {views}")
        return first

    async def _look(self, server: NameServer, host: str, *, recurse: bool) -> NameInZone:
        """The mark first: without it the name is not ours, whatever a wildcard of the zone makes up for it."""
        texts = tuple(text for text, _ttl_s in _values(await server.ask(mark_of(host), "TXT", recurse=recurse), "TXT"))
        found = NameInZone(host, texts)
        return found if found.owner is None else await self._with_addresses(server, found, recurse=recurse)

    async def _with_addresses(self, server: NameServer, found: NameInZone, *, recurse: bool) -> NameInZone:
        addresses: dict[tuple[str, str], int] = {}
        for asked in ("A", "AAAA"):  # either answer has a CNAME, too
            answer = await server.ask(found.host, asked, recurse=recurse)
            addresses.update(((kind, value), ttl_s) for kind in ADDRESS_TYPES for value, ttl_s in _values(answer, kind))
        ttl_s = min(addresses.values(), default=0)
        return NameInZone(found.host, found.texts, tuple(sorted(addresses)), ttl_s)

    async def _say_whose(self, host: str) -> None:
        """Nothing of ours was there, and the zone was not free: say what is in the way. Refused, or nothing if it went."""
        found = await self._with_addresses(self.server, NameInZone(host), recurse=False)
        texts = [value for value, _ttl_s in _values(await self.server.ask(mark_of(host), "TXT", recurse=False), "TXT")]
        there = [f"{kind} {value}" for kind, value in found.addresses] + [f"TXT {text} beside it" for text in texts]
        raise Refused(
            f"{host} is somebody else's in the zone ({', '.join(there) or 'records of other types'}): not overwritten",
            help="Take those records out of the zone, or choose another spec.dns.host.",
        )

    def _require_below_zone(self, host: str) -> None:
        if not host.endswith(f".{self.zone}"):
            raise Refused(
                f"{host} is not below the zone {self.zone}", help="Choose a spec.dns.host below spec.names.zone."
            )


def read_key(path: Path, name: str, algorithm: str) -> dns.tsig.Key:
    """The TSIG key whose secret is in a file, in base64. InvalidRequest, which never shows what is in it."""
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not base64"
        raise InvalidRequest(f"the key {name} of the zone cannot be read from {path}: {why}", help=KEY_FILE) from None
    if mode & OTHERS:
        raise InvalidRequest(f"{path} holds the key of the zone and can be read by others", help="chmod 600 it.")
    try:
        secret = base64.b64decode(text, validate=True)
    except binascii.Error:
        secret = b""
    if len(secret) < LEAST_SECRET:
        raise InvalidRequest(f"{path} holds no secret of {LEAST_SECRET} bytes or more in base64", help=KEY_FILE)
    return dns.tsig.Key(dns.name.from_text(name), secret, dns.name.from_text(algorithm))


KEY_FILE = "Put the secret that `tsig-keygen` shows between the quotes, and nothing else, into spec.names.key_file."


def _values(answer: dns.message.Message, kind: str) -> Iterator[tuple[str, int]]:
    """Value and time to live of each record of this type at the very name that was asked for."""
    name, wanted = answer.question[0].name, dns.rdatatype.from_text(kind)
    for rrset in answer.answer:
        if rrset.name == name and rrset.rdtype == wanted:
            yield from ((rdata.to_text(), rrset.ttl) for rdata in rrset)


def _shown(record: NameRecord | None) -> str:
    return f"{record.target} at epoch {record.epoch}" if record is not None else "nothing"
