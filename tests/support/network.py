"""Hosts with a network of their own, between which lines are really cut: namespaces round a router, rules of nft in it.

Each host has a network namespace and one line to the router, which passes everything on until a test says otherwise.
What is dropped is dropped in silence, as a broken line does it, and in one direction if a test wants that. Names say
which process made them, so that runs never meet, and the next one clears away what a killed one has left. Nothing leads
to the machine's own network.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from federation.runtime.clock import SystemClock
from federation.runtime.processes import ProcessId, SystemProcesses

ROOT = Path(__file__).resolve().parents[2]
NAMESPACES = Path("/run/netns")
MEMORY = Path("/dev/shm")
NAME = re.compile(r"hubfed-(?P<mark>(?P<pid>[0-9]+)-(?P<started>[0-9]+)-[0-9a-f]{4})-[a-z]+")
OWN = Path("/proc/thread-self/ns/net")
CLONE_NEWNET = 0x40000000
TABLE = """
add table ip lines
add chain ip lines forward { type filter hook forward priority 0; policy accept; }
"""
LIBC = ctypes.CDLL(None, use_errno=True)


@functools.cache
def nft() -> Path:
    """The program; skipped with the reason where it or what it needs cannot be had, a failure under CI."""
    found = subprocess.run([ROOT / "scripts/get-nft"], capture_output=True, text=True, timeout=300, check=False)
    program, reason = found.stdout.strip(), found.stderr.strip()[-300:]
    if found.returncode == 0:  # a container may have neither the rights nor the kernel's parts
        trial = f"ip link add one type veth peer name other && {program} add table ip lines"
        words = ["unshare", "--net", "sh", "-c", trial]
        tried = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
        if tried.returncode == 0:
            return Path(program)
        reason = tried.stderr.strip()[-300:]
    reason = f"no hosts with a network of their own here: {reason}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True, slots=True)
class Network:
    """The hosts and the router between them; `mark` is this run's."""

    mark: str
    hosts: tuple[str, ...]

    def namespace(self, host: str) -> str:
        return f"hubfed-{self.mark}-{host}"

    def address(self, host: str) -> str:
        return f"10.77.{self.hosts.index(host) + 1}.2"

    def gateway(self, host: str) -> str:
        """The router's end of its line."""
        return f"10.77.{self.hosts.index(host) + 1}.1"

    @contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """This thread, and all that it starts meanwhile, is on that host: processes, threads, sockets."""
        with OWN.open() as before, (NAMESPACES / self.namespace(host)).open() as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())

    @contextmanager
    def cut(self, *lines: tuple[str, str], port: int = 0) -> Iterator[None]:
        """Nothing passes from the first host of each pair to the second (to one TCP port, if it is given); packets the
        other way do. That something was dropped is checked: a cut that nobody noticed shows nothing."""
        narrower = f" tcp dport {port}" if port else ""
        with self._rules([f"{self._between(*line)}{narrower} counter drop" for line in lines]):
            yield

    @contextmanager
    def loss(self, percent: int, *lines: tuple[str, str]) -> Iterator[None]:
        """So many packets on these lines are lost, at random."""
        with self._rules([f"{self._between(*line)} numgen random mod 100 < {percent} counter drop" for line in lines]):
            yield

    def both_ways(self, host: str, *others: str) -> list[tuple[str, str]]:
        """Lines between this host and the others, or all others."""
        others = others or tuple(other for other in self.hosts if other != host)
        return [line for other in others for line in ((host, other), (other, host))]

    def between(self, *hosts: str) -> list[tuple[str, str]]:
        """All lines between these."""
        return list(itertools.permutations(hosts, 2))

    def end_all(self, host: str) -> None:
        """Every process on that host, with no time to say anything."""
        _end_all(self.namespace(host))

    def heal(self) -> None:
        self._nft("flush chain ip lines forward")

    def dropped(self) -> int:
        """Packets, since the rules in force came."""
        said = self._nft("list chain ip lines forward")
        return sum(int(packets) for packets in re.findall(r"counter packets (\d+)", said))

    @contextmanager
    def _rules(self, rules: Sequence[str]) -> Iterator[None]:
        self._nft("\n".join(f"add rule ip lines forward {rule}" for rule in rules))
        try:
            yield
            assert self.dropped() > 0, "nothing went over the line that was cut"
        finally:
            self.heal()

    def _between(self, sender: str, receiver: str) -> str:
        return f"ip saddr {self.address(sender)} ip daddr {self.address(receiver)}"

    def _nft(self, commands: str) -> str:
        with self.inside("router"):
            return _run(str(nft()), "-f", "-", given=commands)

    def make(self) -> None:
        router = self.namespace("router")
        for name in ("router", *self.hosts):
            _ip("netns", "add", self.namespace(name))
            _ip("-n", self.namespace(name), "link", "set", "lo", "up")
        for host in self.hosts:
            there = self.namespace(host)
            _ip("-n", router, "link", "add", f"to-{host}", "type", "veth", "peer", "name", "line", "netns", there)
            _ip("-n", router, "addr", "add", f"{self.gateway(host)}/24", "dev", f"to-{host}")
            _ip("-n", router, "link", "set", f"to-{host}", "up")
            _ip("-n", there, "addr", "add", f"{self.address(host)}/24", "dev", "line")
            _ip("-n", there, "link", "set", "line", "up")
            _ip("-n", there, "route", "add", "default", "via", self.gateway(host))
        with self.inside("router"):
            _run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        self._nft(TABLE)

    def remove(self) -> None:
        """Whoever still runs there is ended first: a namespace lives as long as its last process."""
        for name in (*self.hosts, "router"):
            remove_namespace(self.namespace(name))


@contextmanager
def network(*hosts: str) -> Iterator[Network]:
    """The hosts and their lines; gone at the end with all that runs there."""
    nft()
    clear_away()
    own = SystemProcesses(SystemClock()).identify(os.getpid())
    assert own is not None
    net = Network(f"{own.pid}-{own.started}-{secrets.token_hex(2)}", hosts)
    try:
        net.make()
        yield net
    finally:
        net.remove()


def remove_namespace(name: str) -> None:
    """And whoever runs there."""
    if (NAMESPACES / name).exists():
        _end_all(name)
        _ip("netns", "delete", name)


def run_in(net: Network, host: str, *words: str) -> str:
    """A command on that host; what it prints."""
    with net.inside(host):
        return _run(*words)


def clear_away() -> None:
    """What runs have left that were killed: namespaces of ours whose maker does not live, and who runs there."""
    processes = SystemProcesses(SystemClock())
    for path in NAMESPACES.glob("hubfed-*"):
        found = NAME.fullmatch(path.name)
        if found and not processes.alive(ProcessId(int(found["pid"]), int(found["started"]))):
            _end_all(path.name)
            _ip("netns", "delete", path.name)
            shutil.rmtree(MEMORY / f"hubfed-{found['mark']}", ignore_errors=True)


def _enter(handle: int) -> None:
    if LIBC.setns(handle, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "cannot enter a network namespace")


def _end_all(namespace: str) -> None:
    deadline = time.monotonic() + 10
    while pids := _ip("netns", "pids", namespace).split():
        assert time.monotonic() < deadline, f"these do not end: {pids}"
        for pid in pids:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)


def _ip(*words: str) -> str:
    return _run("ip", *words)


def _run(*words: str, given: str = "") -> str:
    done = subprocess.run(words, input=given, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}{given}"
    return done.stdout
