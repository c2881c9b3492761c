"""Hubs in a cluster: each a namespace with a release of the upstream chart. Kubernetes keeps alive what runs there.

`start` is called at every cycle and does only what is missing: Helm runs when the chart or its values changed, and not
for a new epoch. What a hub was last told is on its namespace, so a new agent goes on where another ended. A stop leaves
the release, scaled to nothing, and all claims.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import structlog

from agents.drivers.base import HubCapabilities, HubOrder, HubView, Phase
from agents.drivers.hub_address import HubAddress
from agents.drivers.hub_api import HubApi
from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api, Object
from agents.drivers.kubernetes.census import HUB, PROXY, SERVERS, Census, up_to_date, username
from agents.drivers.kubernetes.homes_mark import MarkText
from agents.drivers.kubernetes.hub_record import REPLICAS, HubNamespace, HubRecord
from agents.drivers.kubernetes.hub_values import HubValues, check_sign_in, hub_values
from agents.drivers.kubernetes.namespaces import Namespaces
from agents.drivers.kubernetes.releases import Releases, fingerprint
from agents.drivers.kubernetes.settings import KubernetesSettings
from federation.model.errors import DriverError
from federation.model.status import RosterEntry
from federation.runtime.clock import Clock

log = structlog.get_logger(__name__)

HELM_S = 120.0
LOOK_S = 1.0  # how often a hub that is starting or stopping is looked at
STOP_GRACE_S = 5.0
STOP_LIMIT_S = 25.0
HUB_PORT, PROXY_PORT = 8081, 80


@dataclass(slots=True)
class KubernetesHubs:
    """The HubDriver."""

    settings: KubernetesSettings
    api: Api
    namespaces: Namespaces
    releases: Releases
    clock: Clock
    hub_api: HubApi = field(default_factory=HubApi)
    _stopping: set[str] = field(default_factory=set)
    _addresses: dict[str, HubAddress] = field(default_factory=dict)
    _served: set[str] = field(default_factory=set)
    _rolled_out: dict[str, str] = field(default_factory=dict)  # hub -> what was applied when all of it was there

    @property
    def capabilities(self) -> HubCapabilities:
        return HubCapabilities(
            survives_agent=True,
            adopts_servers=True,
            isolates_students=True,
            enforces_limits=True,
            version=self.settings.chart.app_version,
            look_s=LOOK_S,
        )

    async def start(self, order: HubOrder) -> None:
        hub = order.hub
        check_sign_in(order)
        place = await self.namespaces.to_write_on(hub)
        place.check_epoch(order.epoch)
        before = place.record
        record = HubRecord(
            epoch=order.epoch,
            generation=order.generation,
            applied=before.applied if before is not None else "",
            server=before.server if before is not None else "",
            draining=bool(order.notice),
        )
        place = await self.namespaces.write(place, record=record)
        secrets = await self.namespaces.secrets(hub)
        homes = MarkText.of(hub, place.homes).generation
        values = hub_values(order, self.settings.part, self.settings.values, secrets, homes)
        if before is not None:
            await self._scale_up(hub)  # before Helm: it takes no number for its own that differs and that we have set
        await self._install(place, record, values)

    async def observe(self, hub: str) -> HubView:
        place = await self.namespaces.look(hub)
        if place is None:
            return HubView(hub=hub, phase=Phase.STOPPED)
        census = await self._census(hub)
        if not census.pods:
            self._served.discard(hub)
            return HubView(hub=hub, phase=Phase.STOPPED, message=place.ending)
        if place.record is None:
            message = "pods in its namespace, and nothing there says what they are"
            return HubView(hub=hub, phase=Phase.STOPPING, processes=len(census.pods), message=message)
        return await self._view(place, place.record, census)

    async def list(self) -> tuple[str, ...]:
        ours = set(await self.namespaces.hubs())
        if not ours:
            return ()
        running = Census.of(await self.api.items(paths.ALL_PODS, labels="app=jupyterhub"))
        return tuple(sorted(ours & {pod["metadata"]["namespace"] for pod in running.pods}))

    async def stop(self, hub: str, *, grace_s: float | None = None) -> None:
        if await self.namespaces.look(hub) is None:
            return
        self._stopping.add(hub)
        try:
            ended = await self._stop(hub, STOP_GRACE_S if grace_s is None else grace_s)
        finally:
            self._stopping.discard(hub)
        self._served.discard(hub)
        self._addresses.pop(hub, None)
        self._rolled_out.pop(hub, None)
        if ended:
            log.info("hub.stopped", hub=hub, pods=ended)

    async def roster(self, hub: str) -> tuple[RosterEntry, ...]:
        return await self.hub_api.users(await self.address(hub))

    async def logs(self, hub: str, user: str, *, tail: int, follow: bool) -> AsyncIterator[bytes]:
        census = await self._census(hub)
        if user:
            pods = [pod for pod in census.of_component(SERVERS) if username(pod) == user]
        else:
            pods = list(census.of_component(HUB))
        if not pods:
            raise DriverError(f"{hub}: no log of {user or 'the hub'} here yet", delay_s=None)
        name = pods[-1]["metadata"]["name"]
        container = pods[-1]["spec"]["containers"][0]["name"]
        path = f"{paths.pods(hub)}/{name}/log"
        async for chunk in self.api.lines(path, container=container, tail=tail, follow=follow):
            yield chunk

    async def close(self) -> None:
        await self.hub_api.close()
        await self.api.close()

    async def address(self, hub: str) -> HubAddress:
        """Where the hub is reached; DriverError if it is not here."""
        known = self._addresses.get(hub)
        if known is None:
            ours, theirs = [await self._cluster_ip(hub, name) for name in ("hub", "proxy-public")]
            secrets = await self.namespaces.secrets(hub)
            known = HubAddress(hub, f"{ours}:{HUB_PORT}", f"{theirs}:{PROXY_PORT}", secrets.api_token)
            self._addresses[hub] = known
        return known

    # --- parts of start ---

    async def _install(self, place: HubNamespace, record: HubRecord, values: HubValues) -> None:
        """Helm, if what is installed is not this, or is not known to be there wholly."""
        wanted = fingerprint(self.settings.chart.path, values.all)
        if record.applied == wanted:
            return
        place = await self.namespaces.write(place, record=record.revise(applied=""))
        self._addresses.pop(place.name, None)
        said = f"epoch {record.epoch}, generation {record.generation}"
        # named as the hub: some of what the chart makes is not in a namespace, and takes its name from the release
        release = await self.releases.apply(
            place.name, place.name, self.settings.chart.path, values.all, description=said, limit_s=HELM_S
        )
        log.info("hub.installed", hub=place.name, chart=release.chart, revision=release.revision)
        await self.namespaces.write(place, record=record.revise(applied=wanted, server=values.server))

    async def _scale_up(self, hub: str) -> None:
        """After a stop everything is scaled to nothing; what it was before is noted on it."""
        census = await self._census(hub)
        if census.of_component(HUB) and census.of_component(PROXY):
            return
        for path, workload in (await self._workloads(hub)).items():
            before = _before_stop(workload)
            if before and not workload["spec"].get("replicas", 1):
                await self.api.merge(path, {"spec": {"replicas": before}})

    # --- looking ---

    async def _census(self, hub: str) -> Census:
        return Census.of(await self.api.items(paths.pods(hub)))

    async def _view(self, place: HubNamespace, record: HubRecord, census: Census) -> HubView:
        phase, message = await self._phase(place.name, record, census)
        address = self._addresses.get(place.name)
        draining = record.draining and phase is Phase.SERVING
        active = 0
        if draining and census.servers and address is not None:
            active = await self.hub_api.active_servers(address, self.clock.now())
        return HubView(
            hub=place.name,
            phase=phase,
            epoch=record.epoch,
            generation=record.generation,
            address=address.proxy if address is not None else "",
            processes=len(census.pods),
            servers=len(census.servers),
            outdated_servers=sum(1 for settings in census.servers.values() if settings != record.server),
            message=message,
            used=census.used,
            draining=draining,
            active_servers=active,
        )

    async def _phase(self, hub: str, record: HubRecord, census: Census) -> tuple[Phase, str]:
        if hub in self._stopping:
            return Phase.STOPPING, f"{len(census.pods)} pods left"
        if not await self._is_rolled_out(hub, record):
            return Phase.STARTING, "; ".join(census.troubles()) or "what is to run is being put in place"
        away = [name for name in (HUB, PROXY) if not census.ready(name)]
        if away:
            troubles = census.troubles()
            said = "; ".join(troubles) or f"waiting for {' and '.join(away)}"
            return Phase.FAILED if census.cannot_start() else Phase.STARTING, said
        if not await self.hub_api.healthy(await self.address(hub), has_served=hub in self._served):
            self._addresses.pop(hub, None)
            return Phase.STARTING, "the hub does not answer through its proxy yet"
        self._served.add(hub)
        return Phase.SERVING, ""

    async def _is_rolled_out(self, hub: str, record: HubRecord) -> bool:
        """Whether what was applied is what runs; asked until it is, and then not again."""
        if record.applied and self._rolled_out.get(hub) == record.applied:
            return True
        core = [one for path, one in (await self._workloads(hub)).items() if path.rpartition("/")[2] in (HUB, PROXY)]
        if not record.applied or not core or not all(up_to_date(one) for one in core):
            return False
        self._rolled_out[hub] = record.applied
        return True

    async def _cluster_ip(self, hub: str, service: str) -> str:
        found = await self.api.get(paths.service(hub, service))
        if found is None:
            raise DriverError(f"{hub}: no such hub at this site", delay_s=None)
        return str(found["spec"]["clusterIP"])

    # --- stopping ---

    async def _stop(self, hub: str, grace_s: float) -> int:
        """Nothing may start any more, then everything ends; returns how many pods there were."""
        for path, workload in (await self._workloads(hub)).items():
            replicas = workload["spec"].get("replicas", 1)
            if replicas:
                note = {"metadata": {"annotations": {REPLICAS: str(replicas)}}}
                await self.api.merge(path, {**note, "spec": {"replicas": 0}})
        deadline_mono = self.clock.mono() + grace_s + STOP_LIMIT_S
        seen: set[str] = set()
        asked: set[str] = set()
        empty = 0
        while empty < 2:  # noqa: PLR2004 - a hub that is ending may have asked for one more server
            census = await self._census(hub)
            empty = 0 if census.pods else empty + 1
            names = {pod["metadata"]["name"] for pod in census.pods}
            seen |= names
            if names and self.clock.mono() > deadline_mono:
                raise DriverError(f"{hub}: still there: {_left(census)}", delay_s=2.0)
            for name in names - asked:
                await self.api.delete(f"{paths.pods(hub)}/{name}", grace_s=grace_s)
            asked |= names
            await self.clock.sleep(0.2 if census.pods else 0.05)
        return len(seen)

    async def _workloads(self, hub: str) -> Mapping[str, Object]:
        """Whatever keeps pods there, by where it is."""
        kinds = (paths.deployments(hub), paths.stateful_sets(hub))
        found = [(kind, one) for kind in kinds for one in await self.api.items(kind)]
        return {f"{kind}/{one['metadata']['name']}": one for kind, one in found}


def _before_stop(workload: Object) -> int:
    """How many pods it had; 0: no stop of ours scaled it down. Hub and proxy are one each, whoever scaled them down."""
    meta = workload["metadata"]
    noted = (meta.get("annotations") or {}).get(REPLICAS, "")
    return int(noted) if noted.isdigit() else int(meta["name"] in (HUB, PROXY))


def _left(census: Census) -> str:
    """Whoever has not ended, and where: a node that does not answer ends nothing."""
    return ", ".join(f"{pod['metadata']['name']} on {pod['spec'].get('nodeName', 'no node')}" for pod in census.pods)
