"""Rows of one seat: size, image, start, home, data (DOMAIN C). The chart spells camelCase; inside a profile the words are
KubeSpawner's own, with underscores."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable

from federation.core.chart_values.row import Given, Row, Value, always, row
from federation.core.claim_names import template
from federation.model.classroom_seat import Content, CpuRange, Image, MemoryRange, SeatProfile, Sidecar, StorageType
from federation.model.quantities import Cpu

HOME = "/home/jovyan"
VOLUME = "volume-{user_server}"
SHARED_CLAIM = "homes"  # of storage.type shared-home: one claim, a folder for each user
OWNER = "hubfed.io/hub"
NETWORK_ACCESS = {"hub.jupyter.org/network-access-hub": "true"}  # the chart's own label, which another map would hide
NOT_EVICTED = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
NODE_GROUP = "capi.stackhpc.com/node-group"


def cores(cpu: Cpu) -> int | float:
    """A JSON number: the chart's schema refuses a quoted one."""
    return cpu.cores if cpu.millis % 1000 else cpu.millis // 1000


def _image(image: Image) -> tuple[str, str]:
    """Name and tag, both of which the chart demands and joins with a colon; a digest is what comes after the last one."""
    if image.digest is None:
        return image.name, image.tag or ""
    algorithm, _, digest = image.digest.partition(":")
    tagged = f"{image.name}:{image.tag}" if image.tag else image.name
    return f"{tagged}@{algorithm}", digest


def _gpu(given: Given) -> Value:
    count = given.spec.resources.gpu.count
    return {"nvidia.com/gpu": str(count)} if count else None


def _resources(memory: MemoryRange, cpu: CpuRange) -> Value:
    """A container's, as Kubernetes writes them."""
    sizes = {"requests": (memory.guarantee, cpu.guarantee), "limits": (memory.limit, cpu.limit)}
    return {kind: {"memory": m.kubernetes(), "cpu": str(c)} for kind, (m, c) in sizes.items()}


def _container(car: Sidecar, *, has_home: bool) -> Value:
    container: dict[str, Value] = {
        "name": car.name,
        "image": car.image,
        "resources": _resources(car.memory, car.cpu),
    }
    if car.ports:
        container["ports"] = [{"containerPort": port} for port in car.ports]
    if has_home:
        container["volumeMounts"] = [{"name": VOLUME, "mountPath": HOME}]
    return container


def _containers(given: Given, cars: Iterable[Sidecar]) -> list[Value]:
    has_home = given.spec.storage.type is StorageType.DYNAMIC
    return [_container(car, has_home=has_home) for car in cars]


def _common_sidecars(given: Given) -> list[Sidecar]:
    """Those of every seat: one that a profile names belongs to that profile."""
    chosen = {profile.sidecar for profile in given.spec.resources.profiles}
    return [car for car in given.spec.image.sidecars if car.name not in chosen]


def _profile(given: Given, profile: SeatProfile) -> Value:
    override: dict[str, Value] = {}
    if profile.memory is not None:
        override["mem_guarantee"] = profile.memory.guarantee.jupyterhub()
        override["mem_limit"] = profile.memory.limit.jupyterhub()
    if profile.cpu is not None:
        override["cpu_guarantee"] = cores(profile.cpu.guarantee)
        override["cpu_limit"] = cores(profile.cpu.limit)
    if profile.node_group is not None:
        override["node_selector"] = {NODE_GROUP: profile.node_group.replace(".", "-")}
    if profile.sidecar is not None:
        own = [car for car in given.spec.image.sidecars if car.name == profile.sidecar]
        override["extra_containers"] = _containers(given, [*_common_sidecars(given), *own])
    found: dict[str, Value] = {"display_name": profile.name, "slug": profile.name, "kubespawner_override": override}
    if profile.description is not None:
        found["description"] = profile.description
    if profile.default:
        found["default"] = True
    return found


def _profiles(given: Given) -> Value:
    return [_profile(given, profile) for profile in given.spec.resources.profiles] or None


def _pulled_too(given: Given) -> Value:
    """Sidecars' images, so that they are on the nodes before the first student."""
    images = {car.name: car.image.rpartition(":") for car in given.spec.image.sidecars}
    return {name: {"name": image, "tag": tag} for name, (image, _colon, tag) in images.items()} or None


def _pull(content: Content) -> str:
    """gitpuller takes a folder only after a branch: where none is named, the repository is asked for its own."""
    git, folder = shlex.quote(content.git), shlex.quote(content.dir)
    asked = f"$(git ls-remote --symref {git} HEAD | sed -n 's|^ref: refs/heads/\\(.*\\)\\tHEAD|\\1|p')"
    branch = shlex.quote(content.branch) if content.branch else f'"{asked}"'
    return f"gitpuller {git} {branch} {folder}"


def _post_start(given: Given) -> Value:
    """Course material and the class's own lines. Whatever fails there, the last word is success: a hook that fails kills
    the pod."""
    lines = [*(_pull(content) for content in given.spec.content), *given.spec.post_start]
    return ["sh", "-c", "\n".join([*lines, "true"])] if lines else None


def _storage_type(given: Given) -> Value:
    known = {StorageType.DYNAMIC: "dynamic", StorageType.SHARED_HOME: "static", StorageType.NONE: "none"}
    return known[given.spec.storage.type]


def _homes_are(kind: StorageType, value: Callable[[Given], Value]) -> Callable[[Given], Value]:
    """Only of classes whose homes are of this type."""
    return lambda given: value(given) if given.spec.storage.type is kind else None


def _storage_class(given: Given) -> Value:
    return given.spec.storage.storage_class or given.site.storage_class or None


def _shared_volumes(given: Given) -> Value:
    folders = given.spec.storage.shared
    return [{"name": f.name, "persistentVolumeClaim": {"claimName": f.name}} for f in folders] or None


def _shared_mounts(given: Given) -> Value:
    return [{"name": f.name, "mountPath": f.path, "readOnly": f.read_only} for f in given.spec.storage.shared] or None


def _egress(given: Given) -> Value:
    """Private networks are closed for students but for these."""
    doors = [door for source in given.spec.data for door in source.egress]
    return [
        {"to": [{"ipBlock": {"cidr": str(door.cidr)}}], "ports": [{"port": door.port, "protocol": "TCP"}]}
        for door in doors
    ] or None


def _group(given: Given) -> Value:
    return {NODE_GROUP: given.site.node_group.replace(".", "-")} if given.site.node_group else None


DYNAMIC, SHARED_HOME = StorageType.DYNAMIC, StorageType.SHARED_HOME

ROWS: tuple[Row, ...] = (
    row(
        "resources.memory.guarantee",
        "singleuser/memory/guarantee",
        lambda g: g.spec.resources.memory.guarantee.jupyterhub(),
    ),
    row("resources.memory.limit", "singleuser/memory/limit", lambda g: g.spec.resources.memory.limit.jupyterhub()),
    row("resources.cpu.guarantee", "singleuser/cpu/guarantee", lambda g: cores(g.spec.resources.cpu.guarantee)),
    row("resources.cpu.limit", "singleuser/cpu/limit", lambda g: cores(g.spec.resources.cpu.limit)),
    row("resources.gpu", "singleuser/extraResource/limits", _gpu),
    row("resources.profiles", "singleuser/profileList", _profiles),
    row("image.name", "singleuser/image/name", lambda g: _image(g.spec.image)[0]),
    row("image.tag", "singleuser/image/tag", lambda g: _image(g.spec.image)[1]),
    row("image.pull_secret", "imagePullSecrets", lambda g: [s] if (s := g.spec.image.pull_secret) else None),
    row("image.sidecars", "singleuser/extraContainers", lambda g: _containers(g, _common_sidecars(g)) or None),
    row("image.sidecars", "prePuller/extraImages", _pulled_too),
    row("image.profiles_env", "singleuser/extraEnv", lambda g: dict(g.spec.image.profiles_env) or None),
    row("content, post_start", "singleuser/lifecycleHooks/postStart/exec/command", _post_start),
    row("(hubfed)", "singleuser/defaultUrl", always("/lab")),
    row("storage.type", "singleuser/storage/type", _storage_type),
    row("storage.capacity", "singleuser/storage/capacity", _homes_are(DYNAMIC, lambda g: str(g.spec.storage.capacity))),
    row("storage.class", "singleuser/storage/dynamic/storageClass", _homes_are(DYNAMIC, _storage_class)),
    row("(hubfed)", "singleuser/storage/dynamic/pvcNameTemplate", _homes_are(DYNAMIC, lambda g: template(g.homes))),
    row("(hubfed)", "singleuser/storage/dynamic/volumeNameTemplate", _homes_are(DYNAMIC, always(VOLUME))),
    row("(hubfed)", "singleuser/storage/dynamic/storageAccessModes", _homes_are(DYNAMIC, always(["ReadWriteOnce"]))),
    row("storage.type", "singleuser/storage/static/pvcName", _homes_are(SHARED_HOME, always(SHARED_CLAIM))),
    row("storage.type", "singleuser/storage/static/subPath", _homes_are(SHARED_HOME, always("{username}"))),
    row("storage.shared", "singleuser/storage/extraVolumes", _shared_volumes),
    row("storage.shared", "singleuser/storage/extraVolumeMounts", _shared_mounts),
    row("(hubfed)", "singleuser/storage/extraLabels", lambda g: {OWNER: g.hub}),
    row("data.egress", "singleuser/networkPolicy/egress", _egress),
    # policies add up: what the chart lets through nobody closes, so our chart `classroom` says what the internet is
    row("(hubfed)", "singleuser/networkPolicy/egressAllowRules/nonPrivateIPs", always(value=False)),
    row("(site)", "singleuser/cloudMetadata/blockWithIptables", lambda g: g.site.block_metadata),
    row("(site)", "singleuser/nodeSelector", _group),
    row("(hubfed)", "singleuser/extraLabels", lambda g: {OWNER: g.hub, **NETWORK_ACCESS}),
    row("(hubfed)", "singleuser/extraAnnotations", always(dict(NOT_EVICTED))),
    row("limits.start_timeout", "singleuser/startTimeout", lambda g: g.spec.limits.start_timeout),
)
