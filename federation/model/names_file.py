"""`spec.names` of a federation file: who writes the hubs' names, and who is asked to see them from outside."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StrictInt, model_validator

from federation.model.identity import DNS_LABEL
from federation.model.refusal import Problem, refuse_all
from federation.model.scalars import Flag, Listen, Port, Text
from federation.model.schema import Model

LOCAL_ZONE = "localhost"
HTTPS = 443
LONGEST_TTL_S = 60  # a failover lasts at least as long, and pages at the old site promise a minute


class NameDriverKind(StrEnum):
    FRONTDOOR = "frontdoor"
    RFC2136 = "rfc2136"
    DESIGNATE = "designate"


class KeyAlgorithm(StrEnum):
    SHA256 = "hmac-sha256"
    SHA384 = "hmac-sha384"
    SHA512 = "hmac-sha512"


_NEEDS = {
    NameDriverKind.FRONTDOOR: (
        ("file", "a path", "frontdoor/names.json"),
        ("address", "host:port", "127.0.0.1:8000"),
    ),
    NameDriverKind.RFC2136: (
        ("server", "host:port of the zone's primary", "192.0.2.53:53"),
        ("key_name", "the name that the server's configuration gives the key", "hubfed"),
        ("key_file", "a path", "names.key"),
    ),
}


class Names(Model):
    """Who writes the hubs' names."""

    driver: NameDriverKind = Field(NameDriverKind.FRONTDOOR, description="How names are written.")
    zone: Text = Field(
        LOCAL_ZONE, description="Zone in which hubs have names; no site hosts it alone.", examples=["hubs.example.edu"]
    )
    file: Text | None = Field(
        None, description="frontdoor: the table that it reads.", examples=["frontdoor/names.json"]
    )
    address: Listen | None = Field(
        None, description="frontdoor: where it serves; asked to see names from outside.", examples=["127.0.0.1:8000"]
    )
    server: Listen | None = Field(
        None,
        description="rfc2136: the zone's primary, which takes updates; host:port, best an IP address.",
        examples=["192.0.2.53:53"],
    )
    key_name: Text | None = Field(
        None, description="rfc2136: name of the TSIG key that signs updates.", examples=["hubfed"]
    )
    key_file: Text | None = Field(
        None,
        description="rfc2136: file that holds the key's secret in base64 and nothing else; readable by nobody but the "
        "coordinator's user. On every coordinator's host.",
        examples=["/etc/hubfed/names.key"],
    )
    algorithm: KeyAlgorithm = Field(KeyAlgorithm.SHA256, description="rfc2136: algorithm of the key.")
    resolvers: tuple[Listen, ...] = Field(
        (),
        description="rfc2136: who is asked to see names from outside; a name has converged when all of them say so. "
        "Left out: the server itself is asked, which is not outside.",
        examples=[["198.51.100.53:53", "203.0.113.53:53"]],
    )
    ttl: Annotated[StrictInt, Field(ge=1, le=LONGEST_TTL_S)] = Field(
        60, description="rfc2136: most seconds that others may remember a name; a class may ask for less."
    )
    edge_port: Port = Field(
        80,
        description="rfc2136: port at which students reach the edge of every site, for a name in a zone leads to an "
        "address and not to a port. 80 and 443 are not part of what they type; 443 means https.",
    )
    https: Flag | None = Field(
        None,
        description="rfc2136: students come by https, and coordinators look at each class's certificate, too. Left out: "
        "if edge_port is 443.",
    )
    ca: Text | None = Field(
        None,
        description="PEM file of the CAs by which those certificates are verified, on every coordinator's host; default: "
        "those that the host trusts.",
        examples=["/etc/hubfed/edge-ca.pem"],
    )

    @model_validator(mode="after")
    def _driver_has_what_it_needs(self) -> Self:
        problems = [
            Problem(f"{self.driver.value} needs {what}, and it is not given", need, example, (what,))
            for what, need, example in _NEEDS.get(self.driver, ())
            if getattr(self, what) is None
        ]
        problems += self._tls_problems()
        if self.driver is NameDriverKind.RFC2136:
            problems += [*self._zone_problems(), *self._insiders()]
        if problems:
            raise refuse_all(problems)
        return self

    @property
    def by_https(self) -> bool:
        """Whether students come by https; certificates are looked at then."""
        return self.edge_port == HTTPS if self.https is None else self.https

    def _tls_problems(self) -> list[Problem]:
        if self.https and self.driver is NameDriverKind.FRONTDOOR:
            wrong, allowed = "the laptop's front door speaks http only", "a zone: driver rfc2136"
            return [Problem(wrong, allowed, "https: false", ("https",))]
        if self.https is False and self.edge_port == HTTPS:
            return [Problem("port 443 means https", "true, or another edge_port", "edge_port: 8080", ("https",))]
        if self.ca is not None and not self.by_https:
            wrong = "students come by http, so there are no certificates to verify"
            return [Problem(wrong, "ca only with https", "https: true", ("ca",))]
        return []

    def _zone_problems(self) -> list[Problem]:
        labels = self.zone.split(".")
        if self.zone != LOCAL_ZONE and all(DNS_LABEL.fullmatch(label) for label in labels):
            return []
        wrong = f"{self.zone!r} is no zone that a name server could hold"
        return [Problem(wrong, "lower-case DNS labels with dots between", "hubs.example.edu", ("zone",))]

    def _insiders(self) -> list[Problem]:
        return [
            Problem(
                f"{resolver} is the server that is written to: it says what it was told",
                "one that students may ask: a secondary of the zone, or a resolver",
                "198.51.100.53:53",
                ("resolvers", index),
            )
            for index, resolver in enumerate(self.resolvers)
            if resolver == self.server
        ]
