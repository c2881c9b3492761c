"""Carries troubles out on a world, and ends them again."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.sim import history as h
from tests.support.sim.history_promises import RegisterAway
from tests.support.sim.loop import Process
from tests.support.sim.register import PLACE
from tests.support.sim.trouble import Trouble
from tests.support.sim.world import RESTART_S, World

Undo = Callable[[], None]


class Faults:
    """`begin` starts a trouble; each has ended when `end_all` has returned."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._undo: dict[int, Undo] = {}
        self._count = 0
        self._over = False

    def begin(self, trouble: Trouble) -> None:
        """Now; its end is put on the agenda."""
        if self._over:
            return
        world = self._world
        target = trouble.target
        if target == "leader":
            leader = world.leader()
            target = leader.identity.id if leader is not None else world.coordinators[0]
        world.history.add(h.Fault(world.loop.true_s, f"{trouble.kind} {target} {' '.join(trouble.detail)}".strip()))
        undo = KINDS[trouble.kind](self, target, trouble)
        if undo is not None:
            self._count += 1
            number = self._count
            self._undo[number] = undo
            world.loop.after(trouble.seconds, self._end, number, f"{trouble.kind} {target}")

    def end_all(self) -> None:
        """Heal everything now."""
        self._over = True
        for number in list(self._undo):
            self._end(number, "")

    def _end(self, number: int, text: str) -> None:
        undo = self._undo.pop(number, None)
        if undo is not None:
            undo()
            if text:
                self._world.history.add(h.Fault(self._world.loop.true_s, f"{text} is over"))

    # --- kinds ---

    def cut(self, site: str, trouble: Trouble) -> Undo:
        way, *some = trouble.detail
        pairs = [(site, c) for c in some] if way in ("both", "requests") else []
        pairs += [(c, site) for c in some] if way in ("both", "answers") else []
        return self._cut(pairs)

    def register_cut(self, coordinator: str, trouble: Trouble) -> Undo:
        pairs = [(coordinator, PLACE), (PLACE, coordinator)]
        return self._cut(pairs)

    def _cut(self, pairs: list[tuple[str, str]]) -> Undo:
        network = self._world.network
        for source, target in pairs:
            network.cut(source, target)

        def undo() -> None:
            for source, target in pairs:
                network.cut(source, target, by=-1)

        return undo

    def register_away(self, _target: str, trouble: Trouble) -> Undo:
        """Nobody reaches the register, and all else is well."""
        self._world.history.add(RegisterAway(self._world.loop.true_s))
        return self._cut([pair for c in self._world.coordinators for pair in ((c, PLACE), (PLACE, c))])

    def peers_cut(self, site: str, trouble: Trouble) -> Undo:
        """Other sites do not hear this one, and it hears none of them."""
        return self._cut([pair for other in trouble.detail for pair in ((site, other), (other, site)) if other != site])

    def copies_down(self, _target: str, trouble: Trouble) -> Undo:
        copies = self._world.copies
        copies.refusal = "the store does not answer"

        def undo() -> None:
            copies.refusal = ""

        return undo

    def copies_slow(self, _target: str, trouble: Trouble) -> Undo:
        """A copy takes so long that much happens meanwhile."""
        copies = self._world.copies
        copies.save_s, copies.restore_s = trouble.seconds / 2, trouble.seconds / 4

        def undo() -> None:
            copies.save_s = copies.restore_s = 0.0

        return undo

    def register_slow(self, _target: str, trouble: Trouble) -> Undo:
        errors = self._world.errors
        before = errors.slow, errors.slow_s, errors.late
        errors.slow, errors.slow_s, errors.late = 0.8, 4.0, 0.2

        def undo() -> None:
            errors.slow, errors.slow_s, errors.late = before

        return undo

    def pause(self, name: str, trouble: Trouble) -> Undo:
        process = self._world.processes.get(name)
        self._world.pause(name, paused=True)

        def undo() -> None:
            if process is not None and self._world.processes.get(name) is process:
                self._world.pause(name, paused=False)

        return undo

    def crash(self, name: str, trouble: Trouble) -> Undo:
        self._world.kill(name)
        return self._down(name)

    def machine_pause(self, name: str, trouble: Trouble) -> Undo:
        world = self._world
        world.network.dark.add(name)
        world.pause_machine(name, paused=True)

        def undo() -> None:
            world.network.dark.discard(name)
            world.pause_machine(name, paused=False)

        return undo

    def reboot(self, site: str, trouble: Trouble) -> Undo:
        return self._power(site)

    def _power(self, site: str, before_boot: Undo = lambda: None) -> Undo:
        world, names = self._world, (f"fencer-{site}", f"agent-{site}")
        world.network.dark.add(site)
        for name in names:
            world.kill(name)
        world.machines[site].lose_tmpfs()
        up = [self._down(name) for name in names]

        def undo() -> None:
            world.network.dark.discard(site)
            before_boot()
            for again in up:
                again()

        return undo

    def disk_full(self, site: str, trouble: Trouble) -> Undo:
        disk = self._world.machines[site].disk
        disk.full = True

        def undo() -> None:
            disk.full = False

        return undo

    def journal_lost(self, site: str, trouble: Trouble) -> Undo:
        self._world.kill(f"agent-{site}")
        self._world.machines[site].lose_journal()
        return self._down(f"agent-{site}")

    def journal_and_boot_lost(self, site: str, trouble: Trouble) -> Undo:
        return self._power(site, self._world.machines[site].lose_journal)

    def lease_file_lost(self, site: str, trouble: Trouble) -> Undo:
        self._world.kill(f"agent-{site}")
        self._world.machines[site].lose_lease_file()
        return self._down(f"agent-{site}")

    def lease_file_rolled_back(self, site: str, trouble: Trouble) -> Undo:
        """The agent dies, and an old lease file of this boot is put in the place of the newest one; the fencer dies too,
        and is there again in a moment: for longer than that, agent and fencer do not fail together."""
        return self._dead(site, self._world.machines[site].roll_back_lease_file)

    def run_emptied(self, site: str, trouble: Trouble) -> Undo:
        """The same, and the runtime directory is empty."""
        return self._dead(site, self._world.machines[site].lose_run)

    def _dead(self, site: str, then: Undo) -> Undo:
        world, fencer = self._world, f"fencer-{site}"
        for name in (fencer, f"agent-{site}"):
            world.kill(name)
        then()
        up, agent = self._down(fencer), self._down(f"agent-{site}")
        world.loop.after(RESTART_S, up)
        return agent

    def hub_killed(self, site: str, trouble: Trouble) -> None:
        machine = self._world.machines[site]
        for hub in sorted(machine.running())[:1]:
            machine.site.kill_hub(hub)

    def edge_killed(self, site: str, trouble: Trouble) -> None:
        self._world.machines[site].site.kill_edge()

    def names_down(self, _site: str, trouble: Trouble) -> Undo:
        service = self._world.names.service
        service.down = True

        def undo() -> None:
            service.down = False

        return undo

    def strike(self, _leader: str, trouble: Trouble) -> Undo:
        """Wait for a takeover, and hit its leader."""
        when, what = trouble.detail
        listeners = self._world.truth.on_takeover

        def listen(moment: str, by: Process) -> None:
            if moment == when and not self._over:
                listeners.remove(listen)
                hit = Trouble(0.0, what, by.name, trouble.seconds)
                self._world.loop.after(0.0, self.begin, hit)

        listeners.append(listen)
        return lambda: None

    def _down(self, name: str) -> Undo:
        world = self._world
        world.off[name] += 1

        def undo() -> None:
            world.off[name] -= 1
            world.start(name)

        return undo


KINDS: dict[str, Callable[[Faults, str, Trouble], Undo | None]] = {
    "cut": Faults.cut,
    "register cut": Faults.register_cut,
    "register slow": Faults.register_slow,
    "pause": Faults.pause,
    "crash": Faults.crash,
    "machine pause": Faults.machine_pause,
    "reboot": Faults.reboot,
    "disk full": Faults.disk_full,
    "journal lost": Faults.journal_lost,
    "journal and boot lost": Faults.journal_and_boot_lost,
    "lease file lost": Faults.lease_file_lost,
    "lease file rolled back": Faults.lease_file_rolled_back,
    "run emptied": Faults.run_emptied,
    "register away": Faults.register_away,
    "peers cut": Faults.peers_cut,
    "copies down": Faults.copies_down,
    "copies slow": Faults.copies_slow,
    "hub killed": Faults.hub_killed,
    "edge killed": Faults.edge_killed,
    "names down": Faults.names_down,
    "strike": Faults.strike,
}
