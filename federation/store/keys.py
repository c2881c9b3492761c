"""The register's layout: every key in one place, relative to the federation's prefix (PROTOCOL.md section 3)."""

from __future__ import annotations

REGISTER_ID = "reg/id"
LEADER = "leader"
MEMBERS = "members"
PAUSE = "pause"
RECOVERY = "recovery/now"

CLASSROOMS = "classroom/"
RETIRED = "retired/"
HOSTS = "host/"
HUBS = "hub/"
OWNED = "own/"
CLOSING = "closing/"
MODES = "mode/"
OPERATIONS = "op/"
ASSIGNMENTS = "assignment/"
OBSERVED = "observed/"
ROSTERS = "roster/"
SITES = "site/"
HOMES = "home/"
HOME_KEYS = "homekey/"
HOME_HISTORIES = "homehistory/"
UNSENT = "unsent/"
AGENTS = "agent/"
LEASES = "lease/"
CONTACTS = "contact/"
SECRETS = "secret/"
EVENTS = "event/"
USERS = "user/"
HOOKS = "hook/"
ALARMS = "alarm/"
OUTLOOKS = "outlook/"
TRIALS = "trial/"
DRILLS = "drill/"
HOLDINGS = "recovery/holdings/"


def classroom(name: str) -> str:
    """The live (or last retired) classroom of this name."""
    return f"{CLASSROOMS}{name}"


def retired(hub: str) -> str:
    """A retired classroom whose name was taken by a later one."""
    return f"{RETIRED}{hub}"


def host(name: str) -> str:
    """Which hub a DNS name belongs to."""
    return f"{HOSTS}{name}"


def ownership(hub: str) -> str:
    """The hub's owner and epoch."""
    return f"{HUBS}{hub}"


def owned(site: str, hub: str) -> str:
    """The site's index of its hubs."""
    return f"{OWNED}{site}/{hub}"


def owned_by(site: str) -> str:
    """Prefix of everything `site` owns; read inside the renewal transaction."""
    return f"{OWNED}{site}/"


def closing(site: str, hub: str) -> str:
    """A hub whose ownership ended and that `site` has not yet confirmed as stopped."""
    return f"{CLOSING}{site}/{hub}"


def closing_at(site: str) -> str:
    """Prefix of everything `site` still has to confirm."""
    return f"{CLOSING}{site}/"


def mode(site: str, hub: str) -> str:
    """What the leader wants a hub of `site` to be: armed or standing."""
    return f"{MODES}{site}/{hub}"


def operation(hub: str) -> str:
    """The newest operation on the hub."""
    return f"{OPERATIONS}{hub}"


def assignment(hub: str) -> str:
    """Where the hub was placed and why."""
    return f"{ASSIGNMENTS}{hub}"


def observed(hub: str) -> str:
    """What the owner last reported, on change."""
    return f"{OBSERVED}{hub}"


def roster(hub: str) -> str:
    """The users that the hub knows."""
    return f"{ROSTERS}{hub}"


def home(hub: str) -> str:
    """The copy of the hub's homes that a takeover restores."""
    return f"{HOMES}{hub}"


def home_history(hub: str) -> str:
    """The copies of the hub's homes that were once the one that counts."""
    return f"{HOME_HISTORIES}{hub}"


def unsent(hub: str, site: str, epoch: str) -> str:
    """What `site`, which owned the hub at `epoch`, had not sent when it was taken over from."""
    return f"{UNSENT}{hub}/{site}/{epoch}"


def unsent_of(hub: str) -> str:
    """Prefix of what all earlier owners of the hub had not sent."""
    return f"{UNSENT}{hub}/"


def home_key(hub: str) -> str:
    """Ciphertext of the password of the hub's copies, one box per site."""
    return f"{HOME_KEYS}{hub}"


def site(name: str) -> str:
    """What a site is and holds."""
    return f"{SITES}{name}"


def agent(site_name: str) -> str:
    """The incarnation that speaks for the site."""
    return f"{AGENTS}{site_name}"


def lease(site_name: str) -> str:
    """The site's newest renewal."""
    return f"{LEASES}{site_name}"


def contact(site_name: str) -> str:
    """The newest sign of life of a site that does not hear."""
    return f"{CONTACTS}{site_name}"


def secret(name: str) -> str:
    """Ciphertext of a named secret."""
    return f"{SECRETS}{name}"


def user(name: str) -> str:
    """The roles of a person."""
    return f"{USERS}{name}"


def hook(name: str) -> str:
    """How far a hook was called."""
    return f"{HOOKS}{name}"


def alarm(about: str) -> str:
    """What hooks were told about a hub (its uid) or a site (site-NAME) that is not over."""
    return f"{ALARMS}{about}"


def outlook(coordinator: str, hub: str) -> str:
    """What one coordinator sees of a hub from outside."""
    return f"{outlooks_of(hub)}{coordinator}"


def outlooks_of(hub: str) -> str:
    """Prefix of what all coordinators see of a hub from outside."""
    return f"{OUTLOOKS}{hub}/"


def trial(coordinator: str, hub: str) -> str:
    """What became of one coordinator's last test server in a hub."""
    return f"{trials_of(hub)}{coordinator}"


def trials_of(hub: str) -> str:
    """Prefix of what became of all coordinators' test servers in a hub."""
    return f"{TRIALS}{hub}/"


def drill(hub: str) -> str:
    """The hub's rehearsals: the one that is ordered or under way, and those that are over."""
    return f"{DRILLS}{hub}"


def holdings(site_name: str) -> str:
    """What the site has reported to the recovery that is under way."""
    return f"{HOLDINGS}{site_name}"


def event(subject: str, order: str) -> str:
    """One event of a hub or a site; `order` sorts by time."""
    return f"{EVENTS}{subject}/{order}"


def tail(key: str) -> str:
    """The last part of a key: the hub, site or name it is about."""
    return key.rsplit("/", 1)[-1]
