"""The programs of a local federation and the order in which they start: what the supervisor keeps alive."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from federation.cli.local.domains import FRONT_DOOR, Domain
from federation.cli.local.layout import Choices, Layout
from federation.model.profile import PROFILES, ProfileName
from federation.runtime.etcd_process import EtcdBinary, EtcdMemberSettings, etcd_arguments
from federation.runtime.node import ProxyInstall
from federation.runtime.processes import Launch
from federation.runtime.volatile import volatile_dir

FENCER = "fencer"
KEEP = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "SSL_CERT_FILE", "HUBFED_TEST_RUN")
"""What a daemon inherits of its starter's environment; nothing else, so that no secret of the shell travels along."""


@dataclass(frozen=True, slots=True)
class Program:
    """One process that is to run. `site` is its failure domain: a site, the witness, or empty for neither."""

    name: str
    role: str
    argv: tuple[str, ...]
    site: str = ""

    def marks(self, layout: Layout) -> dict[str, str]:
        """How it is found again."""
        marks = {**layout.marks, "HUBFED_ROLE": self.role, "HUBFED_NAME": self.name}
        return {**marks, "HUBFED_SITE": self.site} if self.site else marks

    def launch(self, layout: Layout) -> Launch:
        """How it is started."""
        inherited = {key: os.environ[key] for key in KEEP if key in os.environ}
        return Launch(self.argv, layout.log(self.name), env={**inherited, **self.marks(layout)}, cwd=layout.root)


def programs(layout: Layout, choices: Choices, etcd: EtcdBinary, proxy: ProxyInstall) -> tuple[Program, ...]:
    """All of them, in starting order."""
    return (
        *(_etcd(layout, choices, domain, etcd) for domain in choices.domains),
        *(_coordinator(layout, name, domain) for domain in choices.domains for name in domain.coordinators),
        _front_door(layout, choices, proxy),
        *(_fencer(layout, choices, site) for site in choices.sites),
        *(_agent(layout, site) for site in choices.sites),
    )


def _etcd(layout: Layout, choices: Choices, domain: Domain, etcd: EtcdBinary) -> Program:
    member = EtcdMemberSettings(
        name=domain.name,
        data_dir=layout.state("etcd", domain.name),
        client=choices.address(domain.etcd),
        peer=choices.address(domain.peer),
        cluster={other.name: choices.address(other.peer) for other in choices.domains},
        tls=layout.tls(domain.etcd),
    )
    return Program(domain.etcd, "etcd", etcd_arguments(etcd, member), site=domain.name)


def _coordinator(layout: Layout, name: str, domain: Domain) -> Program:
    argv = (*_python("federation.coordinator.main"), "--federation", str(layout.federation), "--id", name)
    state = ("--state-dir", str(layout.state("coordinators", name)))
    return Program(name, "coordinator", (*argv, *state), site=domain.name)


def _front_door(layout: Layout, choices: Choices, proxy: ProxyInstall) -> Program:
    argv = proxy.launcher("frontdoor", choices.address(FRONT_DOOR), layout.names)
    return Program(FRONT_DOOR, "frontdoor", argv)


def _agent(layout: Layout, site: str) -> Program:
    state = layout.state("sites", site)
    argv = (*_python("agents.main"), "--site", str(layout.site_file(site)), "--state-dir", str(state))
    return Program(f"agent-{site}", "agent", (*argv, "--runtime-dir", str(volatile_dir(state))), site=site)


def _fencer(layout: Layout, choices: Choices, site: str) -> Program:
    state = layout.state("sites", site)
    folders = ("--state-dir", str(state), "--runtime-dir", str(volatile_dir(state)))
    longest = PROFILES[ProfileName(choices.profile)].longest_s
    argv = (*_python("agents.fencer"), "--site", site, *folders, "--longest", f"{longest:g}")
    return Program(f"fencer-{site}", FENCER, argv, site=site)


def stopping_order(started: Sequence[Program]) -> list[Program]:
    """Last started, first stopped; but fencers before all: what an agent that is stopping leaves behind is ended gently
    by whoever stops the federation, not killed at the end of its lease."""
    fencers = [program for program in started if program.role == FENCER]
    return [*fencers, *reversed([program for program in started if program.role != FENCER])]


def _python(module: str) -> tuple[str, ...]:
    return (str(Path(sys.executable)), "-m", module)
