"""The canary of a `local` site: a tiny server with the marks of a hub, behind the site's real edge (PROTOCOL.md H13)."""

from __future__ import annotations

import asyncio
import signal
import socket
from dataclasses import dataclass

from agents.drivers.edge_local import LocalEdge
from agents.drivers.edges import Passage
from agents.drivers.local.ports import free_ports
from agents.drivers.local.settings import LocalSettings
from federation.model.errors import DriverError
from federation.runtime.clock import Clock
from federation.runtime.processes import Launch, Processes, inherited

START_S = 10.0
# Ends by itself long after every proof is over, should the agent die with one under way and no fencer be there.
SERVER = """
import signal, socket, sys
signal.alarm(600)
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    link, _ = server.accept()
    with link:
        link.settimeout(2)
        try:
            link.recv(65536)
            link.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\nConnection: close\\r\\n\\r\\ncanary")
        except OSError:
            pass
"""


@dataclass(slots=True)
class LocalCanary:
    """The CanaryDriver."""

    settings: LocalSettings
    processes: Processes
    clock: Clock
    edge: LocalEdge

    async def start(self, hub: str) -> str:
        await self.stop(hub)
        port = free_ports(1)[0]
        folder = self.settings.state_dir
        words = (str(self.settings.interpreter), "-I", "-S", "-c", SERVER, str(port))
        env = {**inherited(), **self.settings.marks(HUB=hub, ROLE="canary")}
        who = self.processes.spawn(Launch(words, folder / "canary.log", env=env, cwd=folder))
        until_mono = self.clock.mono() + START_S
        while not _listens(port):
            if not self.processes.alive(who):
                raise DriverError(f"{hub} ended at once; see {folder / 'canary.log'}")
            if self.clock.mono() > until_mono:
                self.processes.signal(who, signal.SIGKILL)
                raise DriverError(f"{hub} did not listen within {START_S:.0f} s")
            await self.clock.sleep(0.02)
        return f"127.0.0.1:{port}"

    async def ask(self, host: str) -> Passage:
        return await self.edge.ask(host)

    async def alive(self, hub: str) -> bool:
        return bool(await asyncio.to_thread(self.processes.find, self.settings.marks(HUB=hub)))

    async def stop(self, hub: str) -> None:
        await self.processes.stop(self.settings.marks(HUB=hub), grace_s=0.0)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
