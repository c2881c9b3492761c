"""The agent's loop: for each hub, look, decide by one pure call, act, report. Also publishes the edge's routes.

Every act is idempotent and repeated until what is observed is what is wanted; a hub that fails backs off alone. The
gate is not opened here: the edge reads the lease file itself, so a route without a grant leads nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import structlog

from agents.copying import FinalCopies, copy_ref, restored_before
from agents.departed import DepartedHubs
from agents.drivers.base import ClusterView, HubOrder, HubView, Phase, SiteDrivers
from agents.drivers.edges import Route
from agents.hub_orders import HubOrders
from agents.lease import SiteLease
from agents.link import read_epoch
from agents.report import GivenUp, Reporter
from agents.room import RoomForClasses
from agents.starts import Starts
from agents.wanted import WantedHubs
from federation.api.v1 import agent_pb2
from federation.core.holding import Held
from federation.core.site_hub import Act, Decision, WantedHub, decide
from federation.model.errors import DriverError, FederationError
from federation.model.status import Condition, ConditionType, Truth
from federation.runtime.clock import Clock

log = structlog.get_logger(__name__)

STEADY_S = 5.0
BUSY_S = 0.1
DRAINING_S = 1.0
CLUSTER_S = 15.0  # what the machines hold is looked at so often
ORDERED_S = 30.0  # a hub that serves is given its order again after so long
RUNNING = ("running", "draining")  # states of a directive in which the hub runs
ROSTER_S = 30.0
FIRST_ROSTER_S = 1.0  # students come first


@dataclass(slots=True)
class Reconciler:
    """`reconcile(hub)` and `reconcile_edge` for `runtime.loop.Loop`."""

    drivers: SiteDrivers
    lease: SiteLease
    wanted: WantedHubs
    reporter: Reporter
    orders: HubOrders
    clock: Clock
    fence_grace_s: float  # of F: so long a hub whose lease ran out may take to end by itself
    finals: FinalCopies
    _views: dict[str, HubView] = field(default_factory=dict)
    _cluster: ClusterView | None = None
    _cluster_mono: float = 0.0  # when the machines are looked at again
    _given: dict[str, tuple[agent_pb2.WantedHub, float]] = field(default_factory=dict)  # and until when that holds
    _rosters_mono: dict[str, float] = field(default_factory=dict)
    _homes: dict[str, str] = field(default_factory=dict)
    _open: dict[str, bool] = field(default_factory=dict)
    _gates_mono: dict[str, float] = field(default_factory=dict)  # when each gate is looked at again
    _here: frozenset[str] = frozenset()
    _tried: set[str] = field(default_factory=set)
    _discovered: bool = False
    _canary_route: Route | None = None
    departed: DepartedHubs = field(init=False)
    starts: Starts = field(init=False)
    room: RoomForClasses = field(init=False)

    def __post_init__(self) -> None:
        self.departed = DepartedHubs(self.clock)
        self.starts = Starts(self.drivers.hubs)
        self.room = RoomForClasses(self.drivers.cluster, self.lease, self.wanted, self.orders, self.clock)

    def hubs(self) -> set[str]:
        """Every hub that is held, ended, wanted, or found running."""
        return {*self.lease.held, *self.lease.ended, *self.wanted.hubs, *self._here}

    def lacks_grant(self, hub: str) -> bool:
        """Whether the hub is wanted running at an epoch that is not held yet."""
        directive, held = self.wanted.hubs.get(hub), self.lease.held.get(hub)
        running = directive is not None and directive.state in RUNNING
        return running and directive is not None and (held is None or held.epoch < read_epoch(directive.epoch))

    def phase(self, hub: str) -> Phase | None:
        """The hub's phase when it was last looked at."""
        view = self._views.get(hub)
        return view.phase if view is not None else None

    def seen(self, hub: str) -> tuple[bool, bool]:
        """Whether processes of the hub were alive at the last look, and whether users were let in and still may be."""
        view, may = self._views.get(hub), hub in self.lease.held and not self.lease.lapsed(hub)
        serves = may and self._open.get(hub, False) and self.phase(hub) is Phase.SERVING
        return view is not None and view.processes > 0, serves

    async def discover(self, _key: str = "") -> float:
        """Look for hubs that run here, also those that an earlier agent started."""
        self._here = frozenset(await self.drivers.hubs.list())
        self._discovered = True
        self._tell_if_looked()
        return STEADY_S * 2

    async def reconcile(self, hub: str) -> float | None:
        """One look and one act."""
        view = await self._look(hub)
        if hub not in self._homes:
            self._homes[hub] = await self.drivers.homes.where(hub) or ""
        self._claim(hub, view)
        decision = self._decide(hub, view)
        if decision.act is Act.START:
            self.finals.started(hub)
        settled = decision.act is Act.START and self._settled(hub, view)
        try:
            message = "" if settled else await self._act(hub, view, decision)
        except Exception as error:  # also what no driver foresaw: whoever waits for the hub must hear of it
            failed = view if view.phase is Phase.SERVING else replace(view, phase=Phase.FAILED)
            self._views[hub] = failed
            await self._report(hub, failed, error.message if isinstance(error, FederationError) else repr(error))
            raise
        same = decision.act is Act.START and self._as_wanted(hub, view)
        if decision.act is not Act.LEAVE and not same:
            view = await self.drivers.hubs.observe(hub)
        self._views[hub] = view
        await self._report(hub, view, message or view.message)
        if decision.act is Act.START:
            if view.draining:
                return DRAINING_S
            done = view.phase is Phase.SERVING and self._open.get(hub, False)
            return STEADY_S * 2 if done else self.drivers.hubs.capabilities.look_s
        return STEADY_S * 2 if view.processes or hub in self.lease.held else None

    async def reconcile_edge(self, _key: str = "") -> float:
        """Keep the edge up and its table right, and look at each gate from outside."""
        await self._publish()  # an edge that cannot be looked at now may serve all the same
        address = await self.drivers.edge.ensure()
        if self._cluster is None or self.clock.mono() >= self._cluster_mono:
            self._cluster, self._cluster_mono = await self.drivers.cluster.observe(), self.clock.mono() + CLUSTER_S
            await self.room.keep(self._cluster)
        cluster = self._cluster
        self.reporter.site(address, replace(cluster, conditions=(*cluster.conditions, self._fenced())))
        busy, now = False, self.clock.mono()
        for hub, view in list(self._views.items()):
            waits = view.phase is Phase.SERVING and hub in self.lease.held and not self._open.get(hub)
            closes = self._open.get(hub) and (self.lease.lapsed(hub) or view.phase is Phase.STOPPED)
            if now < self._gates_mono.get(hub, 0.0) and not (waits or closes):
                continue  # a wake for one hub is no reason to look at all the others
            self._gates_mono[hub] = now + STEADY_S * 2
            is_open = await self.drivers.edge.is_open(hub)
            if is_open != self._open.get(hub, False):
                self._open[hub] = is_open
                self._record_gate(hub, view, is_open)
                await self._report(hub, view, view.message)
            busy = busy or (view.phase is Phase.SERVING and not is_open and hub in self.lease.held)
        return BUSY_S if busy else STEADY_S

    def _fenced(self) -> Condition:
        """What the site says of its gate and fencer."""
        kind, objection = ConditionType.FENCED, self.lease.not_armable()
        if objection:
            return Condition(type=kind, status=Truth.FALSE, reason="NotProven", message=objection)
        return Condition(type=kind, status=Truth.TRUE, reason="Proven", message="gate and fencer were proven")

    async def _look(self, hub: str) -> HubView:
        """What is there now. The leader hears nothing of the site before everything here was looked at once."""
        try:
            view = await self.drivers.hubs.observe(hub)
            if hub not in self._views:
                self._views[hub] = view
                await self._report(hub, view, view.message)
        finally:
            self._tried.add(hub)
            self._tell_if_looked()
        return view

    def _as_wanted(self, hub: str, view: HubView) -> bool:
        """It served what is wanted before anything was done: the same order once more has changed nothing."""
        directive = self.wanted.hubs.get(hub)
        if directive is None or directive.state not in RUNNING or view.phase is not Phase.SERVING:
            return False
        if view.draining is not bool(self.orders.notice(hub)):
            return False
        return (view.epoch, view.generation) == (read_epoch(directive.epoch), directive.generation)

    def _settled(self, hub: str, view: HubView) -> bool:
        """It serves what is wanted, and the same order was given a moment ago: giving it again would look at everything
        once more, and change nothing."""
        now, directive = self.clock.mono(), self.wanted.hubs[hub]
        before = self._given.get(hub)
        if before is not None and before[0] is directive and now < before[1] and self._as_wanted(hub, view):
            return True
        self._given[hub] = (directive, now + ORDERED_S)
        return False

    def _tell_if_looked(self) -> None:
        if not self.reporter.has_looked and self._discovered and self.hubs() <= self._tried:
            self.reporter.looked()

    def _claim(self, hub: str, view: HubView) -> None:
        """What runs without a permission is claimed, so that evidence of its end can come (boot step 4)."""
        known = hub in self.lease.held or hub in self.lease.ended
        if view.processes and view.epoch is not None and not known:
            self.lease.found[hub] = view.epoch
        else:
            self.lease.found.pop(hub, None)

    def _decide(self, hub: str, view: HubView) -> Decision:
        directive = self.wanted.hubs.get(hub)
        wanted = None
        if directive is not None:
            wanted = WantedHub(
                epoch=read_epoch(directive.epoch),
                running=directive.state in RUNNING,
                generation=directive.generation,
                delete_homes=directive.delete_homes,
                release=directive.state == "released",
                replaced=directive.HasField("restore") and view.epoch != read_epoch(directive.epoch),
                unsaved=self.finals.unsaved(hub, directive.copied_run),
            )
        return decide(
            wanted=wanted,
            held=self.lease.held.get(hub),
            ended=self.lease.ended.get(hub),
            processes=view.processes,
            has_homes=bool(self._homes.get(hub)),
            now_ns=self.clock.boottime_ns(),
            waits=self.lease.waits(hub),
        )

    async def _act(self, hub: str, view: HubView, decision: Decision) -> str:
        """Carry the decision out; returns what to say about it."""
        match decision.act:
            case Act.START:
                order = self.orders.of(hub)
                await self._prepare_homes(view, order)
                if not self._may_start(hub, order):
                    return "it may not run, or is not wanted, any more since it was prepared"
                await self.starts.start(order)
                if view.processes == 0:
                    self._record("history.start", hub, str(order.epoch))
            case Act.STOP:
                log.info("hub.stop", hub=hub, why=decision.reason)
                held = self.lease.held.get(hub)  # still held: its time is over, and F is what is left
                await self.drivers.hubs.stop(hub, grace_s=self.fence_grace_s if held is not None else None)
                self._record("history.stop", hub, str(held.epoch if held is not None else self.lease.ended.get(hub)))
            case Act.RELEASE:
                epoch = self.lease.held[hub].epoch
                self.lease.release(hub, epoch)
                self._record("history.release", hub, str(epoch))
            case Act.DELETE_HOMES:
                await self.drivers.homes.delete(hub)
                self._homes[hub] = ""
                log.info("homes.deleted", hub=hub, why=decision.reason)
            case Act.LEAVE:
                directive = self.wanted.hubs.get(hub)
                if directive is not None and directive.state == "stopped" and not view.processes:
                    self.lease.conclude(hub, read_epoch(directive.epoch))
                return "" if view.processes else decision.reason
        return ""

    async def _prepare_homes(self, view: HubView, order: HubOrder) -> None:
        """No server starts before the homes are what they must be at this epoch (I6): restored, or known to be here."""
        hub, directive = order.hub, self.wanted.hubs[order.hub]
        due = directive.HasField("restore") and view.processes == 0
        if due and not restored_before(await self.drivers.homes.mark(hub), directive):
            password = order.secrets.get("homes", "")
            if not password:
                raise DriverError(f"{hub}: no password of its copies was sealed to this site", delay_s=None)
            preparing = replace(view, phase=Phase.PREPARING)
            self._views[hub] = preparing
            await self._report(hub, preparing, f"restoring homes that {directive.restore.site} saved")
            restored = await self.drivers.copies.restore(
                copy_ref(directive.restore), order.epoch, password, classroom=order.classroom
            )
            if restored.done:
                self._record("history.restore", hub, str(order.epoch))
                log.info("homes.restored", hub=hub, snapshot=directive.restore.snapshot, kept=restored.kept)
        # under a hub that runs, the files are its own at whatever epoch: a recovery raises it without a stop
        lasting = order.classroom.spec.storage.protection is not None or view.processes > 0
        self._homes[hub] = await self.drivers.homes.ensure(hub, order.epoch, lasting=lasting)

    def _may_start(self, hub: str, order: HubOrder) -> bool:
        """Preparing may have taken minutes: look again, right before it starts."""
        held, directive = self.lease.held.get(hub), self.wanted.hubs.get(hub)
        wanted = directive is not None and directive.state in RUNNING and read_epoch(directive.epoch) == order.epoch
        return wanted and held is not None and held.epoch == order.epoch and not self.lease.lapsed(hub)

    async def _report(self, hub: str, view: HubView, message: str) -> None:
        now = self.clock.mono()
        if view.phase is Phase.SERVING and now >= self._rosters_mono.setdefault(hub, now + FIRST_ROSTER_S):
            self._rosters_mono[hub] = now + ROSTER_S
            try:
                self.reporter.roster(hub, await self.drivers.hubs.roster(hub))
            except DriverError as error:
                log.info("roster.unread", hub=hub, error=error.message)
        held, ended = self.lease.held.get(hub), self.lease.ended.get(hub)
        epoch = view.epoch or (held.epoch if held else None)
        if ended is not None and view.processes == 0:
            epoch = ended  # the confirmation names the evidence that was heard
        if self.lease.waits(hub) and view.processes == 0:
            epoch = self.lease.waiting(hub)  # so that whoever waits for this epoch reads why
        if epoch is None and view.processes == 0 and hub not in self.wanted.hubs:
            self.reporter.gone(hub)
            return
        self.reporter.hub(
            replace(view, conditions=(*view.conditions, *self.room.said(hub))),
            epoch,
            gate_open=self._open.get(hub, False),
            message=message,
            homes=self._homes.get(hub, ""),
            given_up=GivenUp(self.lease.released(hub), self.finals.runs.get(hub, "")),
        )

    async def route_canary(self, route: Route | None) -> None:
        """Put the canary's route into the edge's table at once, or (None) take it out again."""
        self._canary_route = route
        await self._publish()

    async def _publish(self) -> None:
        self.departed.note(self.wanted.hubs.values())
        # an agent that has just started must not take away routes of hubs that run
        unseen = frozenset(self.lease.held.keys() - self._views.keys())
        await self.drivers.edge.publish(self._routes(), self.departed.look(self.lease.held), unseen)

    def _routes(self) -> tuple[Route, ...]:
        routes = []
        for hub, view in sorted(self._views.items()):
            held, directive = self.lease.held.get(hub), self.wanted.hubs.get(hub)
            if held is None or directive is None or not view.address or not _runs_as_held(view, held):
                continue
            dns = directive.spec.dns
            hosts = (dns.host, *dns.aliases)
            routes.append(Route(hub=hub, epoch=held.epoch, hosts=hosts, target=view.address))
        return (*routes, self._canary_route) if self._canary_route is not None else tuple(routes)

    def _record_gate(self, hub: str, view: HubView, is_open: bool) -> None:
        self._record("history.open" if is_open else "history.close", hub, str(view.epoch))

    def _record(self, event: str, hub: str, epoch: str) -> None:
        """A line of the history that the checker of the tests judges."""
        log.info(event, hub=hub, epoch=epoch, at_ns=self.clock.boottime_ns())


def _runs_as_held(view: HubView, held: Held) -> bool:
    """Whether what runs is what may be open: at the held epoch, or at one of an era that a recovery has ended. There the
    hub stays open until its directive comes, for it is this site's again and was nobody else's to open."""
    return view.epoch == held.epoch or (view.epoch is not None and view.epoch.era < held.epoch.era)
