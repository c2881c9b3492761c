"""Hubs in a cluster: each a namespace with a release of the upstream chart, after one of ours with what surrounds it.
Kubernetes keeps alive what runs there.

`start` is called at every cycle and does only what is missing: Helm runs when the chart or its values changed, and not
for a new epoch. What a hub was last told is on its namespace, so a new agent goes on where another ended. A stop leaves
the release, scaled to nothing, and all claims.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import structlog

from agents.drivers.base import HubCapabilities, HubOrder, HubView, Phase
from agents.drivers.hub_address import HubAddress
from agents.drivers.hub_api import HubApi
from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api, Object
from agents.drivers.kubernetes.census import HUB, PROXY, SERVERS, Census, up_to_date, username
from agents.drivers.kubernetes.homes_mark import MarkText
from agents.drivers.kubernetes.hub_pods import HubPods
from agents.drivers.kubernetes.hub_record import HubNamespace, HubRecord
from agents.drivers.kubernetes.hub_use import HubUse
from agents.drivers.kubernetes.hub_values import HubValues, check_sign_in, hub_values, plain_values
from agents.drivers.kubernetes.marks import REPLICAS, noted_replicas
from agents.drivers.kubernetes.namespaces import Namespaces
from agents.drivers.kubernetes.releases import Releases, fingerprint
from agents.drivers.kubernetes.settings import KubernetesSettings
from agents.drivers.kubernetes.surroundings import Surroundings
from agents.drivers.kubernetes.watches import Watches
from federation.core.chart_values.row import Given
from federation.model.errors import DriverError
from federation.model.status import RosterEntry
from federation.runtime.clock import Clock

log = structlog.get_logger(__name__)

HELM_S = 120.0
LOOK_S = 1.0  # how often a hub that is starting or stopping is looked at
STOP_GRACE_S = 5.0
STOP_LIMIT_S = 25.0
THOROUGH_S = 600.0  # so often an order that was carried out is gone through anew, however well all looks
HUB_PORT, PROXY_PORT = 8081, 80


@dataclass(frozen=True, slots=True)
class Done:
    """An order that was carried out, what was written down of it, and until when that is taken for done."""

    order: HubOrder
    record: HubRecord
    until_mono: float


@dataclass(slots=True)
class KubernetesHubs:
    """The HubDriver."""

    settings: KubernetesSettings
    api: Api
    namespaces: Namespaces
    releases: Releases
    clock: Clock
    watches: Watches
    hub_api: HubApi = field(default_factory=HubApi)
    pods: HubPods = field(init=False)
    _stopping: set[str] = field(default_factory=set)
    _addresses: dict[str, HubAddress] = field(default_factory=dict)
    _served: set[str] = field(default_factory=set)
    _rolled_out: dict[str, str] = field(default_factory=dict)  # hub -> what was applied when all of it was there
    _done: dict[str, Done] = field(default_factory=dict)
    _use: HubUse = field(default_factory=HubUse)

    def __post_init__(self) -> None:
        self.pods = HubPods(self.api, self.watches.pods)

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
        check_sign_in(order)
        if self._stands(order):
            return
        self._done.pop(order.hub, None)
        with self.pods.absences.starting(order.hub):
            record = await self._start(order)
        self._done[order.hub] = Done(order, record, self.clock.mono() + THOROUGH_S)

    async def _start(self, order: HubOrder) -> HubRecord:
        hub = order.hub
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
        given = Given(order.classroom, hub, self.settings.part, homes)
        around = Surroundings(self.settings.around, self.api, self.namespaces, self.releases, self.clock)
        await around.bring(place, replace(given, values=plain_values(given, self.settings.values)))
        if before is not None:
            await self._scale_up(hub)  # before Helm: it takes no number for its own that differs and that we have set
        return await self._install(place, record, values)

    async def observe(self, hub: str) -> HubView:
        place = await self.namespaces.seen(hub)
        if place is None:
            return HubView(hub=hub, phase=Phase.STOPPED)
        census = await self.pods.seen(hub)
        if not census.count:
            self._served.discard(hub)
            return HubView(hub=hub, phase=Phase.STOPPED, message=place.ending)
        if place.record is None:
            message = "pods in its namespace, and nothing there says what they are"
            return HubView(hub=hub, phase=Phase.STOPPING, processes=census.count, message=message)
        return await self._view(place, place.record, census)

    async def list(self) -> tuple[str, ...]:
        ours = set(await self.namespaces.hubs())
        return tuple(sorted(await self.pods.running(ours))) if ours else ()

    async def stop(self, hub: str, *, grace_s: float | None = None) -> None:
        if await self.namespaces.look(hub) is None:
            return
        self._done.pop(hub, None)
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
        census = await self.pods.now(hub)
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
        await self.watches.close()
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

    def _stands(self, order: HubOrder) -> bool:
        """Whether this very order was carried out lately, and by all that was heard since it is as it was then."""
        done, heard = self._done.get(order.hub), self.watches.pods.heard()
        if done is None or heard is None or self.clock.mono() > done.until_mono:
            return False
        place, census = self.namespaces.heard(order.hub), Census.of(heard.of(order.hub))
        there = place is not None and not place.ending and place.record == done.record
        return there and done.order == order and all(census.of_component(one) for one in (HUB, PROXY))

    async def _install(self, place: HubNamespace, record: HubRecord, values: HubValues) -> HubRecord:
        """Helm, if what is installed is not this, or is not known to be there wholly; returns what is written down then."""
        wanted = fingerprint(self.settings.chart.path, values.all)
        if record.applied == wanted:
            return record
        place = await self.namespaces.write(place, record=record.revise(applied=""))
        self._addresses.pop(place.name, None)
        said = f"epoch {record.epoch}, generation {record.generation}"
        # named as the hub: some of what the chart makes is not in a namespace, and takes its name from the release
        release = await self.releases.apply(
            place.name, place.name, self.settings.chart.path, values.all, description=said, limit_s=HELM_S
        )
        log.info("hub.installed", hub=place.name, chart=release.chart, revision=release.revision)
        done = record.revise(applied=wanted, server=values.server)
        await self.namespaces.write(place, record=done)
        return done

    async def _scale_up(self, hub: str) -> None:
        """After a stop everything is scaled to nothing; what it was before is noted on it."""
        census = await self.pods.now(hub)
        if census.of_component(HUB) and census.of_component(PROXY):
            return
        for path, workload in (await self.pods.workloads(hub)).items():
            before = _before_stop(workload)
            if before and not workload["spec"].get("replicas", 1):
                await self.api.merge(path, {"spec": {"replicas": before}})

    # --- looking ---

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
            processes=census.count,
            servers=len(census.servers),
            outdated_servers=sum(1 for settings in census.servers.values() if settings != record.server),
            message=message,
            used=self._use.number(place.name, census.used),
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
        workloads = await self.pods.workloads(hub)
        core = [one for path, one in workloads.items() if path.rpartition("/")[2] in (HUB, PROXY)]
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
        mark = self.pods.absences.mark(hub)
        for path, workload in (await self.pods.workloads(hub)).items():
            if workload["spec"].get("replicas", 1):
                await self.api.merge(path, dict(noted_replicas(workload)))
        deadline_mono = self.clock.mono() + grace_s + STOP_LIMIT_S
        seen: set[str] = set()
        asked: set[str] = set()
        empty = 0
        while empty < 2:  # noqa: PLR2004 - a hub that is ending may have asked for one more server
            census = await self.pods.now(hub)
            empty = 0 if census.pods else empty + 1
            names = {pod["metadata"]["name"] for pod in census.pods}
            seen |= names
            if names and self.clock.mono() > deadline_mono:
                raise DriverError(f"{hub}: still there: {_left(census)}", delay_s=2.0)
            for name in names - asked:
                await self.api.delete(f"{paths.pods(hub)}/{name}", grace_s=grace_s)
            asked |= names
            await self.clock.sleep(0.2 if census.pods else 0.05)
        self.pods.absences.found_nothing(hub, census.revision, mark)
        return len(seen)


def _before_stop(workload: Object) -> int:
    """How many pods it had; 0: no stop of ours scaled it down. Hub and proxy are one each, whoever scaled them down."""
    meta = workload["metadata"]
    noted = (meta.get("annotations") or {}).get(REPLICAS, "")
    return int(noted) if noted.isdigit() else int(meta["name"] in (HUB, PROXY))


def _left(census: Census) -> str:
    """Whoever has not ended, and where: a node that does not answer ends nothing."""
    return ", ".join(f"{pod['metadata']['name']} on {pod['spec'].get('nodeName', 'no node')}" for pod in census.pods)
