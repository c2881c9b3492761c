"""Control groups, where this process may make them: to hold every process of a hub together and to enforce limits.

New groups are made only below the group that this process is itself in, so that whatever holds the agent holds its
hubs too. Membership uses the unified (v2) tree where there is one, else a v1 tree; limits use whichever tree offers
them. Everything works without: `Cgroups.none()` holds nothing and says why.
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from federation.model.errors import Unavailable

PERIOD_US = 100_000
MEMBERSHIP = ("", "pids", "freezer")  # "" is the unified tree


@dataclass(frozen=True, slots=True)
class Limits:
    """None: not limited."""

    memory_bytes: int | None = None
    cpu_millis: int | None = None


@dataclass(frozen=True, slots=True)
class Cgroups:
    """Where groups may be made, by controller; found once by `probe`."""

    member_root: Path | None = None
    memory_root: Path | None = None
    cpu_root: Path | None = None
    reason: str = ""

    @classmethod
    def none(cls, reason: str) -> Cgroups:
        """Nothing can be held or limited, and why."""
        return cls(reason=reason)

    @classmethod
    def probe(
        cls, name: str, *, mounts: Path = Path("/proc/self/mounts"), own: Path = Path("/proc/self/cgroup")
    ) -> Cgroups:
        """Try to make a group `name` below our own in every tree; what was made for the trial is removed again."""
        trees = _own_groups(mounts.read_text(encoding="utf-8"), own.read_text(encoding="utf-8"))
        made = {tree: path / name for tree, path in trees.items() if _make(path / name)}
        member = next((made[tree] for tree in MEMBERSHIP if tree in made), None)
        if member is None:
            _forget(made.values())
            return cls.none("no control group tree is writable here")
        unified = made.get("")
        if unified is not None:
            _delegate(unified.parent)
            _delegate(unified)
        memory = unified if unified and _offers(unified, "memory") else made.get("memory")
        cpu = unified if unified and _offers(unified, "cpu") else made.get("cpu")
        missing = [what for what, path in (("memory", memory), ("cpu", cpu)) if path is None]
        reason = f"no control group for {' and '.join(missing)} is writable here" if missing else ""
        _forget(made.values())
        return cls(member_root=member, memory_root=memory, cpu_root=cpu, reason=reason)

    @property
    def limits_memory(self) -> bool:
        """Whether a memory limit would be enforced."""
        return self.memory_root is not None

    @property
    def limits_cpu(self) -> bool:
        """Whether a CPU limit would be enforced."""
        return self.cpu_root is not None

    def group(self, name: str) -> Group:
        """The group called `name` (e.g. `hub` or `hub/student`); nothing is made yet."""
        roots = {root for root in (self.member_root, self.memory_root, self.cpu_root) if root is not None}
        memory = self.memory_root / name if self.memory_root else None
        cpu = self.cpu_root / name if self.cpu_root else None
        member = self.member_root / name if self.member_root else None
        return Group(member=member, memory=memory, cpu=cpu, every=tuple(sorted(root / name for root in roots)))

    def remove(self) -> None:
        """Take the empty roots away again."""
        self.group("").remove()


def site_group(federation: str, site: str) -> str:
    """The name of the one group of a federation's site; file-system safe whatever the federation is called."""
    digest = hashlib.sha256(federation.encode()).hexdigest()[:10]
    return f"hubfed-{digest}-{site}"


@dataclass(frozen=True, slots=True)
class Group:
    """One group, the same in every tree that is used."""

    member: Path | None
    memory: Path | None
    cpu: Path | None
    every: tuple[Path, ...] = field(default=())

    def make(self, limits: Limits = Limits()) -> tuple[Path, ...]:
        """Make it with these limits and return the files that a process writes its pid to in order to join."""
        for path in self.every:
            _delegate_down(path.parent)
            try:
                path.mkdir(mode=0o755, parents=True, exist_ok=True)
            except OSError as error:
                raise Unavailable(f"cannot make control group {path}: {error.strerror}") from error
        if self.memory is not None and limits.memory_bytes is not None:
            _limit_memory(self.memory, limits.memory_bytes)
        if self.cpu is not None and limits.cpu_millis is not None:
            _limit_cpu(self.cpu, limits.cpu_millis)
        return tuple(path / "cgroup.procs" for path in self.every)

    def members(self) -> set[int]:
        """Pids of everything in it and below it."""
        if self.member is None:
            return set()
        found: set[int] = set()
        for folder, _folders, _files in os.walk(self.member):
            with suppress(OSError):
                found.update(int(line) for line in Path(folder, "cgroup.procs").read_text(encoding="ascii").split())
        return found

    def kill(self) -> None:
        """SIGKILL everything in it: at once where the kernel offers that, else one by one (the caller rescans)."""
        if self.member is None:
            return
        with suppress(OSError):
            (self.member / "cgroup.kill").write_text("1", encoding="ascii")
            return
        for pid in self.members():
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def remove(self) -> None:
        """Remove the empty group; one that still has members stays."""
        for path in self.every:
            for folder, _folders, _files in os.walk(path, topdown=False):
                with suppress(OSError):
                    Path(folder).rmdir()


def _own_groups(mounts: str, own: str) -> dict[str, Path]:
    """Tree -> the directory of the group that this process is in."""
    places: dict[str, Path] = {}
    for line in mounts.splitlines():
        _device, folder, kind, options, *_rest = line.split()
        if kind == "cgroup2":
            places.setdefault("", Path(folder))
        elif kind == "cgroup":
            for controller in options.split(","):
                places.setdefault(controller, Path(folder))
    found: dict[str, Path] = {}
    for line in own.splitlines():
        _number, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller in places and controller in {"", "pids", "freezer", "memory", "cpu"}:
                found[controller] = places[controller] / path.lstrip("/")
    return found


def _make(path: Path) -> bool:
    try:
        path.mkdir(mode=0o755, exist_ok=True)
    except OSError:
        return False
    return os.access(path / "cgroup.procs", os.W_OK)


def _forget(groups: Iterable[Path]) -> None:
    for group in groups:
        with suppress(OSError):  # another agent of this site may be using it
            group.rmdir()


def _delegate(unified: Path) -> None:
    """Offer memory and cpu to children; refused where the group has processes itself, which `_offers` then sees."""
    for controller in ("memory", "cpu"):
        with suppress(OSError):
            (unified / "cgroup.subtree_control").write_text(f"+{controller}", encoding="ascii")


def _delegate_down(parent: Path) -> None:
    """A group inside a group gets the controllers only if the one above passes them on."""
    above = parent.parent / "cgroup.subtree_control"
    if above.exists() and not parent.exists() and above.read_text(encoding="ascii").strip():
        with suppress(OSError):
            parent.mkdir(mode=0o755)
            _delegate(parent)


def _offers(unified: Path, controller: str) -> bool:
    try:
        return controller in (unified / "cgroup.subtree_control").read_text(encoding="ascii").split()
    except OSError:
        return False


def _limit_memory(group: Path, most: int) -> None:
    names = ("memory.max",) if (group / "memory.max").exists() else ("memory.limit_in_bytes",)
    for name in names:
        _write(group / name, str(most))


def _limit_cpu(group: Path, millis: int) -> None:
    quota = max(1000, millis * PERIOD_US // 1000)
    if (group / "cpu.max").exists():
        _write(group / "cpu.max", f"{quota} {PERIOD_US}")
    else:
        _write(group / "cpu.cfs_period_us", str(PERIOD_US))
        _write(group / "cpu.cfs_quota_us", str(quota))


def _write(path: Path, value: str) -> None:
    try:
        path.write_text(value, encoding="ascii")
    except OSError as error:
        raise Unavailable(f"cannot set {path} to {value}: {error.strerror}") from error
