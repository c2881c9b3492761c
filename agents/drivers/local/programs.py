"""Starts the two programs of a hub, its proxy and its JupyterHub. Secrets go by environment and file."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from agents.drivers.local.hub_file import NAME, HubFile
from agents.drivers.local.marks import HUB, PROXY
from agents.drivers.local.settings import LocalSettings
from agents.drivers.local.spawner_env import HUB_FILE
from federation.runtime.cgroups import Cgroups
from federation.runtime.node import ProxyInstall
from federation.runtime.processes import Launch, Processes, ProcessId, inherited

CONFIG = Path(__file__).with_name("jupyterhub_config.py")
HUB_LOG = "hub.log"
PROXY_LOG = "proxy.log"


def start_proxy(
    settings: LocalSettings, processes: Processes, cgroups: Cgroups, install: ProxyInstall, file: HubFile
) -> ProcessId:
    """It answers from the start with the hub's own pages: its default route does not wait for the hub."""
    hub_url = f"http://127.0.0.1:{file.ports.hub}"
    words = (
        *install.hub_proxy,
        *("--ip", "127.0.0.1", "--port", str(file.ports.proxy)),
        *("--api-ip", "127.0.0.1", "--api-port", str(file.ports.proxy_api)),
        *("--default-target", hub_url, "--error-target", f"{hub_url}/hub/error", "--log-level", "warn"),
    )
    marks = settings.marks(HUB=file.hub, ROLE=PROXY)
    env = {**inherited(), **marks, "CONFIGPROXY_AUTH_TOKEN": file.secrets.proxy_token}
    return _start(settings, processes, cgroups, file, Launch(words, settings.hub_dir(file.hub) / PROXY_LOG, env=env))


def hub_version() -> str:
    """Of the JupyterHub beside the agent, which is the one that it starts; empty: there is none."""
    try:
        return version("jupyterhub")
    except PackageNotFoundError:
        return ""


def start_hub(settings: LocalSettings, processes: Processes, cgroups: Cgroups, file: HubFile) -> ProcessId:
    """Everything it needs to know is in its file."""
    folder = settings.hub_dir(file.hub)
    words = (str(settings.interpreter), "-P", "-m", "jupyterhub", "-f", str(CONFIG))
    marks = settings.marks(HUB=file.hub, ROLE=HUB)
    env = {**inherited(), **marks, HUB_FILE: str(folder / NAME), "PYTHONUNBUFFERED": "1"}
    return _start(settings, processes, cgroups, file, Launch(words, folder / HUB_LOG, env=env))


def _start(settings: LocalSettings, processes: Processes, cgroups: Cgroups, file: HubFile, launch: Launch) -> ProcessId:
    join = cgroups.group(f"{file.hub}/hub").make()
    folder = settings.hub_dir(file.hub)
    return processes.spawn(Launch(launch.argv, launch.log, env=launch.env, cwd=folder, join=join))
