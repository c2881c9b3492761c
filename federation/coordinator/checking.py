"""A classroom as it comes over the wire: validated again, and checked against what the federation has.

The client may be old, or not ours; and only here is it known which sites, secrets and host names there are. Everything
that is wrong is told at once, field by field, so that the sender can say where it stands in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from federation.api.v1 import control_pb2
from federation.coordinator.naming import hosts_of
from federation.coordinator.snapshot import Snapshot
from federation.model.classroom import Classroom, ClassroomFile, ClassroomSpec
from federation.model.errors import InvalidRequest
from federation.model.files.check import check_against
from federation.model.files.explain import explain
from federation.model.files.finding import Finding, finding_at
from federation.model.files.travel import details_of
from federation.model.placing import HostClaim, SealedSecret
from federation.model.refusal import Place, Problem
from federation.runtime.bridge import from_message
from federation.store import keys
from federation.store.register import Register

API_VERSION, KIND = "hubfed/v1", "Classroom"


@dataclass(slots=True)
class Checking:
    """`read` needs what is at hand, `clashes` asks the register. `zone`: of the names that can be written; empty: all."""

    register: Register
    snapshot: Snapshot
    zone: str = ""

    def read(self, message: control_pb2.Classroom) -> Classroom:
        """The classroom; InvalidRequest with every finding."""
        try:
            spec = from_message(message.spec, ClassroomSpec)
            classroom = self._whole(message, spec)
        except InvalidRequest as error:
            if isinstance(error.__cause__, ValidationError):
                problems = [p.below("spec") for p in explain(error.__cause__, ClassroomSpec)]
                raise invalid(message.name, problems) from error
            raise
        known = {site.name: (site.cpu_millis, site.memory_bytes) for site in self.snapshot.sites()}
        findings = (*check_against(classroom, known), *self._elsewhere(classroom))
        if findings:
            raise refusal(message.name, findings)
        return classroom

    async def refuse_clashes(self, classroom: Classroom, hub: str) -> None:
        """InvalidRequest if a host name is another class's (`hub` is this one's uid, empty: it is new), or a named
        secret does not exist. Placing refuses both as well; this is for whoever wants to know before."""
        problems = []
        for place, host in zip(_host_places(classroom), hosts_of(classroom), strict=True):
            claim = await self.register.read(keys.host(host), HostClaim)
            if claim is not None and claim.document.hub != hub:
                wrong = f"host name {host} belongs to classroom {claim.document.name}"
                label, _, zone = host.partition(".")
                problems.append(Problem(wrong, "a name that no other class has", f"{label}-2.{zone}", place))
        secret = classroom.spec.auth.secret
        if secret is not None and await self.register.read(keys.secret(secret), SealedSecret) is None:
            wrong, allowed = f"secret {secret} does not exist", "a secret that was set before"
            problems.append(Problem(wrong, allowed, f"fedctl secret set {secret}", ("spec", "auth", "secret")))
        if problems:
            raise invalid(classroom.name, problems)

    def _elsewhere(self, classroom: Classroom) -> list[Finding]:
        """Host names that nobody here could ever write."""
        places = zip(_host_places(classroom), hosts_of(classroom), strict=True)
        problems = [
            Problem(
                f"host name {host} is not below {self.zone}, the zone of this federation",
                f"a name below {self.zone}",
                f"{classroom.name}.{self.zone}",
                place,
            )
            for place, host in places
            if self.zone and not host.endswith(f".{self.zone}")
        ]
        return [finding_at("", {}, problem) for problem in problems]

    @staticmethod
    def _whole(message: control_pb2.Classroom, spec: ClassroomSpec) -> Classroom:
        metadata: dict[str, Any] = {"name": message.name, "labels": dict(message.labels)}
        try:
            whole = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}
            return ClassroomFile.model_validate(whole).classroom()
        except ValidationError as error:
            raise invalid(message.name, explain(error, ClassroomFile)) from None


def invalid(name: str, problems: Sequence[Problem]) -> InvalidRequest:
    """The error for problems whose places are those of a classroom file."""
    return refusal(name, [finding_at("", {}, problem) for problem in problems])


def refusal(name: str, findings: Sequence[Finding]) -> InvalidRequest:
    """What is wrong in a sentence, and each finding in the details."""
    return InvalidRequest(f"{name}: {'; '.join(finding.wrong for finding in findings)}", details=details_of(findings))


def _host_places(classroom: Classroom) -> tuple[Place, ...]:
    aliases = tuple(("spec", "dns", "aliases", index) for index in range(len(classroom.spec.dns.aliases)))
    return (("spec", "dns", "host"), *aliases)
