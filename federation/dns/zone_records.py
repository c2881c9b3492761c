"""How a hub's name stands in a zone, and the one RFC 2136 message that changes it. Pure: no sockets.

At the name itself: one A or AAAA if the site's edge has an IP address, else a CNAME. Beside it, at `_hubfed.NAME`
because nothing may stand beside a CNAME: a TXT with hub and epoch, which says that the name is ours. An update changes
both, and its prerequisites repeat exactly what was read: the server compares and changes in one step, so that a writer
that was frozen in between changes nothing (I2). What else stands at the name (CAA, MX) is not touched.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

import dns.name
import dns.update

from federation.dns.interface import NameRecord
from federation.model.errors import Refused
from federation.model.identity import Epoch

MARK = "_hubfed"
ADDRESS_TYPES = ("A", "AAAA", "CNAME")
OURS = re.compile(r'"hubfed=1 hub=([a-z0-9-]+) epoch=(\d{1,9})\.(\d{1,18})"')


@dataclass(frozen=True, slots=True)
class NameInZone:
    """Everything that was read about one host, as a zone file would write it. `ttl_s` is that of the address."""

    host: str
    texts: tuple[str, ...] = ()  # TXT at the mark
    addresses: tuple[tuple[str, str], ...] = ()  # (type, value) at the name, sorted
    ttl_s: int = field(default=0, compare=False)

    @property
    def owner(self) -> tuple[str, Epoch] | None:
        """Hub and epoch of the mark; None: the name is not ours."""
        found = OURS.fullmatch(self.texts[0]) if len(self.texts) == 1 else None
        return (found[1], Epoch(era=int(found[2]), n=int(found[3]))) if found is not None else None

    def record(self, port: int) -> NameRecord | None:
        """In the interface's words; None if the name is not ours. A target that no edge can have shows what was bent."""
        if self.owner is None:
            return None
        hub, epoch = self.owner
        values = [value.rstrip(".") for _type, value in self.addresses]
        target = _joined(values[0], port) if len(values) == 1 else " and ".join(values) or "nothing"
        return NameRecord(host=self.host, hub=hub, epoch=epoch, target=target, ttl_s=self.ttl_s)


def mark_of(host: str) -> str:
    """Where the TXT of a host stands."""
    return f"{MARK}.{host}"


def change(zone: str, found: NameInZone, record: NameRecord, port: int) -> dns.update.UpdateMessage:
    """Replace what was found, or nothing if the name was not ours, by the record. Refused if no zone could say it."""
    kind, value = address_of(record, port)
    update = _only_if(zone, found)
    _take_out(update, found)
    name, mark = dns.name.from_text(record.host), dns.name.from_text(mark_of(record.host))
    update.add(name, record.ttl_s, kind, value)
    text = f'"hubfed=1 hub={record.hub} epoch={record.epoch}"'
    update.add(mark, record.ttl_s, "TXT", text)
    return update


def removal(zone: str, found: NameInZone) -> dns.update.UpdateMessage:
    """Take exactly what was found out of the zone."""
    update = _only_if(zone, found)
    _take_out(update, found)
    return update


def address_of(record: NameRecord, port: int) -> tuple[str, str]:
    """Type and value for the record's target. Refused if its port is not the one that students reach edges at."""
    host, _, at = record.target.rpartition(":")
    if at != str(port):
        raise Refused(
            f"{record.host} cannot lead to {record.target}: a name leads to an address, and students come to port {port}",
            help="Let the edge of every site listen at spec.names.edge_port, or correct that.",
        )
    bare = host.strip("[]")
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        if bare == record.host:
            raise Refused(
                f"{record.host} cannot lead to itself", help="Give the site's edge a name of its own."
            ) from None
        return "CNAME", f"{bare}."
    if address.is_unspecified:
        raise Refused(
            f"{record.host} cannot lead to {bare}, which is every address of a host and none",
            help="Say in the site file where its edge is reached: spec.edge.address.",
        )
    return ("A" if address.version == 4 else "AAAA"), str(address)  # noqa: PLR2004 - IPv4


def _only_if(zone: str, found: NameInZone) -> dns.update.UpdateMessage:
    """The prerequisites: the zone is as it was found, or, where the name was not ours, has nothing at either place."""
    update = dns.update.UpdateMessage(zone)
    name, mark = dns.name.from_text(found.host), dns.name.from_text(mark_of(found.host))
    if found.owner is None:
        update.absent(name)
        update.absent(mark)
        return update
    for text in found.texts:
        update.present(mark, "TXT", text)
    there = {kind for kind, _value in found.addresses}
    for kind in ADDRESS_TYPES:
        if kind not in there:
            update.absent(name, kind)
    for kind, value in found.addresses:
        update.present(name, kind, value)
    return update


def _take_out(update: dns.update.UpdateMessage, found: NameInZone) -> None:
    """Only types that are there: a key need not be allowed the others."""
    if found.owner is None:
        return
    for kind in sorted({kind for kind, _value in found.addresses}):
        update.delete(dns.name.from_text(found.host), kind)
    update.delete(dns.name.from_text(mark_of(found.host)), "TXT")


def _joined(value: str, port: int) -> str:
    return f"[{value}]:{port}" if ":" in value else f"{value}:{port}"
