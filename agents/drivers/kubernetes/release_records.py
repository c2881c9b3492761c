"""What Helm cannot do with a release by itself: forget one revision that was left unfinished, and spare claims."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiException, CoreV1Api, V1DeleteOptions, V1Preconditions  # now: it takes seconds
from kubernetes.aio.config import ConfigException, new_client_from_config

from federation.model.errors import DriverError

LIMIT_S = 20.0
GONE, CHANGED = 404, 409
RELEASE = "meta.helm.sh/release-name"
POLICY = "helm.sh/resource-policy"
KEEP = "keep"


@dataclass(frozen=True, slots=True)
class ReleaseRecords:
    """Helm keeps each revision of a release in a Secret of the namespace."""

    kubeconfig: Path

    async def drop(self, namespace: str, name: str, revision: int, status: str) -> bool:
        """Forget this revision, if it still has this status; what it made stays, and a later revision takes it over. False
        if it is another one by now: somebody is at work on it."""
        record = f"sh.helm.release.v1.{name}.v{revision}"
        async with self._core(f"forget revision {revision} of {name} in {namespace}") as core:
            try:
                found = await core.read_namespaced_secret(record, namespace, _request_timeout=LIMIT_S)
                if (found.metadata.labels or {}).get("status") != status:
                    return False
                same = V1Preconditions(uid=found.metadata.uid, resource_version=found.metadata.resource_version)
                await core.delete_namespaced_secret(
                    record, namespace, body=V1DeleteOptions(preconditions=same), _request_timeout=LIMIT_S
                )
            except ApiException as error:
                if error.status not in (GONE, CHANGED):
                    raise
                return False
            return True

    async def spare_claims(self, namespace: str, name: str, but: Collection[str]) -> tuple[str, ...]:
        """Mark the claims of the release so that Helm never deletes them, `but` those that it will not delete anyway.
        Returns those that were marked."""
        spared: list[str] = []
        async with self._core(f"keep the claims of {name} in {namespace}") as core:
            found = await core.list_namespaced_persistent_volume_claim(namespace, _request_timeout=LIMIT_S)
            for claim in found.items:
                said = claim.metadata.annotations or {}
                if said.get(RELEASE) != name or said.get(POLICY) == KEEP or claim.metadata.name in but:
                    continue
                body = {"metadata": {"annotations": {POLICY: KEEP}}}
                await core.patch_namespaced_persistent_volume_claim(
                    claim.metadata.name, namespace, body, _request_timeout=LIMIT_S
                )
                spared.append(claim.metadata.name)
        return tuple(spared)

    @asynccontextmanager
    async def _core(self, what: str) -> AsyncIterator[Any]:
        try:
            connection = await new_client_from_config(str(self.kubeconfig), persist_config=False)
            async with connection:
                yield CoreV1Api(connection)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise DriverError(f"cannot {what}: the cluster does not answer ({error})", delay_s=10.0) from error
        except ApiException as error:
            raise DriverError(f"cannot {what}: the cluster says {error.status} {error.reason}", delay_s=10.0) from error
        except ConfigException as error:
            raise DriverError(f"cannot {what}: {self.kubeconfig} cannot be used ({error})", delay_s=60.0) from error
