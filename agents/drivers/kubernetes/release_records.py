"""What Helm cannot do with a release by itself: forget one revision that was left unfinished, and spare claims."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api

RELEASE = "meta.helm.sh/release-name"
POLICY = "helm.sh/resource-policy"
KEEP = "keep"


@dataclass(frozen=True, slots=True)
class ReleaseRecords:
    """Helm keeps each revision of a release in a Secret of the namespace. Errors are those of `Api`."""

    api: Api

    async def drop(self, namespace: str, name: str, revision: int, status: str) -> bool:
        """Forget this revision, if it still has this status; what it made stays, and a later revision takes it over. False
        if it is another one by now: somebody is at work on it."""
        path = paths.secret(namespace, f"sh.helm.release.v1.{name}.v{revision}")
        found = await self.api.get(path)
        if found is None or (found["metadata"].get("labels") or {}).get("status") != status:
            return False
        return await self.api.delete(path, seen=found)

    async def spare_claims(self, namespace: str, name: str, but: Collection[str]) -> tuple[str, ...]:
        """Mark the claims of the release so that Helm never deletes them, `but` those that it will not delete anyway.
        Returns those that were marked."""
        spared: list[str] = []
        for claim in await self.api.items(paths.claims(namespace)):
            meta = claim["metadata"]
            said = meta.get("annotations") or {}
            if said.get(RELEASE) != name or said.get(POLICY) == KEEP or meta["name"] in but:
                continue
            body = {"metadata": {"annotations": {POLICY: KEEP}}}
            if await self.api.merge(f"{paths.claims(namespace)}/{meta['name']}", body) is not None:
                spared.append(meta["name"])
        return tuple(spared)
