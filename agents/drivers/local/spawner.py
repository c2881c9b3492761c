"""Starts students' servers from inside the hub process: own uid, own control group, own log, found again after a crash.

Runs in JupyterHub, not in the agent. What it starts survives the hub and is recognised by pid and start time.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jupyterhub.spawner import Spawner
from jupyterhub.utils import random_port

from agents.drivers.local.hub_file import HubFile
from agents.drivers.local.spawner_env import HUB_FILE
from agents.drivers.local.students import make_home, uid_of
from federation.core.home_names import slug
from federation.runtime.cgroups import Group, Limits
from federation.runtime.clock import SystemClock
from federation.runtime.processes import Launch, ProcessId, SystemProcesses, inherited

GRACE_S = 8.0
SERVER = "agents.drivers.local.student_server"


class NotNow(RuntimeError):
    """The hub lets nobody new in; JupyterHub shows `jupyterhub_message` to whoever asked for a server."""

    def __init__(self, notice: str) -> None:
        super().__init__(notice)
        self.jupyterhub_message = notice


class StudentSpawner(Spawner):  # type: ignore[misc]
    """One student's server as a process of this machine."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._processes = SystemProcesses(SystemClock())
        self._who: ProcessId | None = None

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        # the database may have come from another site: a server of there is none of this hub, even where both sites are
        # on one machine and the process is still there
        if "pid" in state and state.get("site") == self._file().place.site:
            self._who = ProcessId(state["pid"], state["started"])

    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state()
        if self._who is not None:
            state |= {"pid": self._who.pid, "started": self._who.started, "site": self._file().place.site}
        return state

    def clear_state(self) -> None:
        super().clear_state()
        self._who = None

    async def start(self) -> tuple[str, int]:
        file = self._file()
        if file.notice:
            raise NotNow(file.notice)
        await self._stop_everything(file)
        uid = gid = None
        if file.place.first_uid is not None:
            uid = gid = uid_of(Path(file.place.uids_file), file.hub, self.user.name, file.place.first_uid)
        home = make_home(Path(file.place.homes), self.user.name, uid)
        wanted = file.server_settings
        self.mem_limit, self.mem_guarantee = wanted.memory_limit, wanted.memory_guarantee
        self.cpu_limit, self.cpu_guarantee = wanted.cpu_limit_millis / 1000, wanted.cpu_guarantee_millis / 1000
        self.port = random_port()
        join = self._group(file).make(Limits(wanted.memory_limit, wanted.cpu_limit_millis))
        words = [file.place.interpreter, "-P", "-m", SERVER, *self.get_args()]
        if uid is None and os.getuid() == 0:
            words.append("--allow-root")
        log = hub_file_path().parent / "logs" / f"{slug(self.user.name)}.log"
        env = self._environment(file, home)
        launch = Launch(tuple(words), log, env=env, cwd=home, uid=uid, gid=gid, join=join, keep_descendants=True)
        self._who = self._processes.spawn(launch)
        return "127.0.0.1", self.port

    async def poll(self) -> int | None:
        if self._who is not None and self._processes.alive(self._who):
            return None
        self.clear_state()
        return 0

    async def stop(self, now: bool = False) -> None:
        await self._stop_everything(self._file(), grace_s=0.0 if now else GRACE_S)
        self.clear_state()

    async def _stop_everything(self, file: HubFile, grace_s: float = GRACE_S) -> None:
        """The server with its kernels and terminals, also what outlived an earlier server of the same student."""
        marks = {name: value for name, value in self._marks(file).items() if name != "HUBFED_SERVER"}
        await self._processes.stop(marks, group=self._group(file), grace_s=grace_s, limit_s=grace_s + 15)

    def _marks(self, file: HubFile) -> dict[str, str]:
        return {
            "HUBFED_DIR": file.place.federation,
            "HUBFED_SITE": file.place.site,
            "HUBFED_HUB": file.hub,
            "HUBFED_ROLE": "server",
            "HUBFED_USER": slug(self.user.name),
            "HUBFED_SERVER": file.server_hash,
        }

    def _environment(self, file: HubFile, home: Path) -> dict[str, str]:
        base = inherited()
        base.pop(HUB_FILE, None)
        who = {"HOME": str(home), "USER": self.user.name, "LOGNAME": self.user.name, "SHELL": "/bin/bash"}
        mine: dict[str, str] = self.get_env()
        told = {"JUPYTER_IMAGE_SPEC": file.server_settings.image, "HUBFED_ADDRESS": f"127.0.0.1:{self.port}"}
        return {**base, **mine, **who, **told, **self._marks(file)}

    def _group(self, file: HubFile) -> Group:
        return file.place.cgroups().group(f"{file.hub}/server-{slug(self.user.name)}")

    @staticmethod
    def _file() -> HubFile:
        file = HubFile.read(hub_file_path())
        if file is None:
            raise RuntimeError(f"{hub_file_path()} is gone; the hub is being removed")
        return file


def hub_file_path() -> Path:
    """Named by the agent in the hub's environment."""
    return Path(os.environ[HUB_FILE])
