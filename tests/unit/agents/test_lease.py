"""The site lease: journal, then lease file, then memory; standing hubs survive the agent, not the boot."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from agents.drivers.gate import Gate
from agents.fencer_ack import FencerAcks
from agents.journal import Journal
from agents.lease import Fencing, SiteLease
from federation.core.fencing import Fence, Reading
from federation.core.holding import Answer, Granted, Held
from federation.model.errors import Unavailable
from federation.model.identity import Epoch, Member, RegisterId
from federation.model.ownership import Mode
from federation.model.profile import PROFILES, ProfileName
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk

E1, E2 = Epoch(era=1, n=1), Epoch(era=1, n=2)
NOBODY: tuple[int, tuple[Member, ...]] = (0, ())


def answer(
    seq: int, *, revision: int = 5, grants: dict[str, Epoch] | None = None, revoked: dict[str, Epoch] | None = None
) -> Answer:
    held = {hub: Granted(epoch) for hub, epoch in (grants or {}).items()}
    return Answer(RegisterId(uuid="r1"), revision, seq, granted=True, grants=held, revoked=revoked or {})


class Site:
    def __init__(self, folder: Path, disk: LocalDisk | None = None) -> None:
        self.folder = folder
        self.disk = disk or LocalDisk()
        self.clock = SystemClock()

    def start_agent(self) -> SiteLease:
        journal = Journal.open(self.folder / "state" / "journal.json", self.disk, site="iu", uid="u1")
        acks = FencerAcks(self.folder / "run" / "ack.json", self.disk, self.clock)
        fencing = Fencing(PROFILES[ProfileName.LAB], acks, unproven=lambda: "")
        return SiteLease(self.folder / "run" / "lease.json", self.disk, journal, self.clock, fencing)

    def file(self) -> dict[str, object]:
        content = json.loads((self.folder / "run" / "lease.json").read_bytes())
        assert isinstance(content, dict)
        return content


def test_a_grant_is_in_the_journal_and_in_the_lease_file(tmp_path: Path) -> None:
    site = Site(tmp_path)
    assert site.start_agent().process(answer(1, grants={"h1": E1}), NOBODY)
    assert site.start_agent().held == {"h1": Held(E1)}
    assert site.file()["hubs"] == {"h1": {"epoch": [1, 1], "close_at": None, "stop_by": None}}
    assert site.file()["boot_id"] == site.clock.boot_id()


def test_a_revoked_hub_leaves_the_file_and_its_end_is_remembered(tmp_path: Path) -> None:
    site = Site(tmp_path)
    lease = site.start_agent()
    lease.process(answer(1, grants={"h1": E1}), NOBODY)
    lease.process(answer(2, revoked={"h1": E2}), NOBODY)
    assert site.file()["hubs"] == {}
    restarted = site.start_agent()
    assert restarted.held == {}
    assert restarted.ended == {"h1": E2}


def test_after_a_reboot_nothing_is_held(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.start_agent().process(answer(1, grants={"h1": E1}), NOBODY)
    path = tmp_path / "run" / "lease.json"
    path.write_text(json.dumps({**site.file(), "boot_id": "another boot"}))
    assert site.start_agent().held == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"boot_id": 1}'])
def test_an_unreadable_lease_file_permits_nothing(tmp_path: Path, content: str) -> None:
    site = Site(tmp_path)
    site.start_agent().process(answer(1, grants={"h1": E1}), NOBODY)
    (tmp_path / "run" / "lease.json").write_text(content)
    assert site.start_agent().held == {}


def test_a_lease_file_that_the_journal_does_not_back_permits_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.start_agent().process(answer(1, grants={"h1": E1}), NOBODY)
    (tmp_path / "state" / "journal.json").unlink()
    assert site.start_agent().held == {}


def test_a_grant_that_cannot_be_journaled_is_not_acted_on(tmp_path: Path) -> None:
    class FullDisk(LocalDisk):
        def replace(self, path: Path, content: bytes, *, durable: bool = True) -> None:
            if path.name == "journal.json":
                raise Unavailable("disk full")
            super().replace(path, content, durable=durable)

    lease = Site(tmp_path, FullDisk()).start_agent()
    with pytest.raises(Unavailable):
        lease.process(answer(1, grants={"h1": E1}), NOBODY)
    assert lease.held == {}
    assert lease.heard == 0, "an answer that was not acted on must not be called heard"
    assert not (tmp_path / "run" / "lease.json").exists()


def test_every_request_takes_a_new_seq_and_only_processed_answers_are_heard(tmp_path: Path) -> None:
    lease = Site(tmp_path).start_agent()
    assert [lease.next_seq(), lease.next_seq()] == [1, 2]
    lease.process(answer(2), NOBODY)
    lease.process(answer(1), NOBODY)
    assert lease.heard == 2


def test_the_canary_is_in_the_file_beside_what_is_held_and_is_never_held(tmp_path: Path) -> None:
    site = Site(tmp_path)
    lease = site.start_agent()
    lease.process(answer(1, grants={"h1": E1}), NOBODY)
    before = site.file()
    entry = {"canary-iu": {"epoch": [1, 1], "close_at": 5, "stop_by": 6}}
    lease.set_canary(entry)
    assert site.file()["hubs"] == {**entry, "h1": {"epoch": [1, 1], "close_at": None, "stop_by": None}}
    assert lease.held == {"h1": Held(E1)}
    assert "canary-iu" not in lease.claims()
    lease.set_canary(None)
    assert site.file() == before


def test_what_a_new_agent_does_not_adopt_is_closed_for_an_edge_that_remembers(tmp_path: Path) -> None:
    """The file is written anew with a number that is not below that of the one which was there."""
    site = Site(tmp_path)
    site.start_agent().process(answer(7, grants={"h1": E1}), NOBODY)
    gate = Gate(site.clock.boot_id())
    content = (tmp_path / "run" / "lease.json").read_bytes()
    assert gate.take(content)
    assert gate.is_open("h1", E1, site.clock.boottime_ns())
    (tmp_path / "state" / "journal.json").unlink()
    site.start_agent()
    assert gate.take((tmp_path / "run" / "lease.json").read_bytes())
    assert not gate.is_open("h1", E1, site.clock.boottime_ns())


def armed(seq: int, hub: str = "h1", epoch: Epoch = E1) -> Answer:
    return Answer(RegisterId(uuid="r1"), 5, seq, granted=True, grants={hub: Granted(epoch, Mode.ARMED)}, revoked={})


def acknowledge(site: Site) -> None:
    """The site's fencer has taken the newest file."""
    file = site.file() if (site.folder / "run" / "lease.json").exists() else {"incarnation": 0, "seq": 0}
    ack = {"incarnation": file["incarnation"], "seq": file["seq"], "at": site.clock.boottime_ns()}
    site.disk.replace(site.folder / "run" / "ack.json", json.dumps({**ack, "boot_id": site.clock.boot_id()}).encode())


def test_a_round_extends_from_its_send_and_shortens_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    lease = site.start_agent()
    acknowledge(site)
    lease.process(armed(lease.next_seq()), NOBODY)
    acknowledge(site)
    before = lease.held["h1"].close_at_ns or 0
    assert not lease.extend({"h1": E1}, before - 10 * 1_000_000_000), "an old round"
    assert lease.held["h1"].close_at_ns == before
    sent = site.clock.boottime_ns()
    assert not lease.extend({"h1": E1}, sent), "nothing that was closed has opened"
    assert lease.held["h1"].close_at_ns == sent + 5_000_000_000
    assert site.file()["hubs"]["h1"]["close_at"] == sent + 5_000_000_000  # type: ignore[index]


def test_without_its_fencer_a_round_extends_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    lease = site.start_agent()
    acknowledge(site)
    lease.process(armed(lease.next_seq()), NOBODY)
    held = lease.held
    (tmp_path / "run" / "ack.json").unlink()
    lease.extend({"h1": E1}, site.clock.boottime_ns())
    assert lease.held == held


def test_an_agent_that_has_not_said_hello_extends_in_a_file_that_is_believed(tmp_path: Path) -> None:
    """It writes with the incarnation of the agent before it, so its number must not be below that one's."""
    site = Site(tmp_path)
    lease = site.start_agent()
    acknowledge(site)
    lease.process(replace(armed(7), sent_ns=0), NOBODY)
    again = site.start_agent()
    acknowledge(site)
    assert again.extend({"h1": E1}, site.clock.boottime_ns())
    assert site.file()["seq"] == 7
    assert again.claims() == {"h1": E1}


def file_of(site: Site) -> Path:
    return site.folder / "run" / "lease.json"


def test_an_old_file_in_which_an_armed_class_has_no_deadline_is_not_believed(tmp_path: Path) -> None:
    """Somebody put back a file of before it was armed, and the fencer was restarted: it may be taken over meanwhile."""
    site = Site(tmp_path)
    lease = site.start_agent()
    lease.process(answer(1, grants={"h1": E1}), NOBODY)
    old = file_of(site).read_bytes()
    acknowledge(site)
    lease.process(armed(2), NOBODY)
    file_of(site).write_bytes(old)
    (tmp_path / "run" / "ack.json").unlink()
    again = site.start_agent()
    assert again.lapsed("h1"), "it is ended here, by the agent and by the fencer"
    gate = Gate(site.clock.boot_id())
    gate.take(file_of(site).read_bytes())
    assert not gate.is_open("h1", E1, site.clock.boottime_ns())


def test_a_class_that_is_standing_again_is_believed_to_be(tmp_path: Path) -> None:
    site = Site(tmp_path)
    lease = site.start_agent()
    acknowledge(site)
    lease.process(armed(1), NOBODY)
    lease.process(answer(2, grants={"h1": E1}), NOBODY)
    assert site.start_agent().held == {"h1": Held(E1)}


def test_a_fencer_that_has_taken_a_newer_file_is_left_to_end_what_an_old_one_names(tmp_path: Path) -> None:
    site = Site(tmp_path)
    lease = site.start_agent()
    acknowledge(site)
    lease.process(armed(1), NOBODY)
    old = file_of(site).read_bytes()
    acknowledge(site)
    lease.process(armed(2), NOBODY)
    acknowledge(site)
    file_of(site).write_bytes(old)
    assert site.start_agent().held == {}
    assert site.file()["seq"] == 2, "a lower number would not be believed"


def test_after_a_lost_file_a_round_extends_in_one_that_is_believed(tmp_path: Path) -> None:
    """The agent died and its file was lost in an outage; the fencer remembers the number of the last one."""
    site = Site(tmp_path)
    lease = site.start_agent()
    acknowledge(site)
    lease.process(armed(7), NOBODY)
    acknowledge(site)
    file_of(site).unlink()
    again = site.start_agent()
    assert again.extend({"h1": E1}, site.clock.boottime_ns())
    assert site.file()["seq"] == 7


@pytest.mark.parametrize("file", ["lost", "there"])
def test_a_new_journal_beside_the_word_of_an_old_fencer_is_believed_by_the_next_one(tmp_path: Path, file: str) -> None:
    """A federation that was deleted and begun again on the same machine, or a journal that was lost: numbers that begin
    anew would be refused for as long as the boot lasts, and the fencer would end everything."""
    site = Site(tmp_path)
    (tmp_path / "run").mkdir()
    ack = {"boot_id": site.clock.boot_id(), "incarnation": 3, "seq": 40, "newest": [3, 40], "at": 1, "pid": 1}
    (tmp_path / "run" / "ack.json").write_text(json.dumps(ack))
    if file == "there":
        before = {"boot_id": site.clock.boot_id(), "incarnation": 3, "seq": 39, "hubs": {}}
        file_of(site).write_text(json.dumps(before))
    lease = site.start_agent()
    assert lease.last_incarnation == 3, "the next one is above it"
    longest_ns = int(PROFILES[ProfileName.LAB].longest_s * 1e9)
    fence = Fence(site.clock.boot_id(), longest_ns, 0, least=(3, 40))
    if file == "there":
        assert fence.take(file_of(site).read_bytes(), site.clock.boottime_ns()) is Reading.ACCEPTED, "before its hello"
    lease.set_canary(None)
    assert fence.take(file_of(site).read_bytes(), site.clock.boottime_ns()) is Reading.ACCEPTED


@pytest.mark.parametrize("fault", ["lost", "old"])
def test_a_file_that_was_lost_under_a_living_agent_is_written_again(tmp_path: Path, fault: str) -> None:
    """In an outage no answer would: an edge or a fencer that is started then would know nothing, or believe the old one."""
    site = Site(tmp_path)
    lease = site.start_agent()
    lease.process(answer(1, grants={"h1": E1}), NOBODY)
    old = file_of(site).read_bytes()
    lease.process(answer(2, revoked={"h1": E2}), NOBODY)
    newest = file_of(site).read_bytes()
    if fault == "lost":
        file_of(site).unlink()
    else:
        file_of(site).write_bytes(old)
    lease.file.keep()
    assert file_of(site).read_bytes() == newest
    file_of(site).unlink()
    file_of(site).mkdir()
    lease.file.keep()  # whatever is there instead: it is said, and ends no agent


def test_a_lost_journal_is_in_quarantine_over_a_restart(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.start_agent().quarantine()
    again = site.start_agent()
    again.process(answer(1, grants={"h1": E1}), NOBODY)
    assert again.held == {}
    assert "journal was lost" in again.unfit()


def test_a_site_that_lost_its_journal_is_not_armed_before_it_holds_what_runs(tmp_path: Path) -> None:
    site = Site(tmp_path)
    lease = site.start_agent()
    ack = {"boot_id": site.clock.boot_id(), "incarnation": 0, "seq": 1, "at": site.clock.boottime_ns()}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "ack.json").write_text(json.dumps(ack))
    assert lease.not_armable() == ""
    lease.quarantine()
    assert "journal of the site was lost" in lease.not_armable()


def test_an_answer_that_grants_nothing_is_heard_and_is_no_word_about_deadlines(tmp_path: Path) -> None:
    """A site that missed the first armed grants and hears that it is deaf runs its hubs without a deadline. Believed to
    know of one, it would be taken over while it serves."""
    site = Site(tmp_path)
    lease = site.start_agent()
    lease.process(answer(1, grants={"h1": E1}), NOBODY)
    ack = {"boot_id": site.clock.boot_id(), "incarnation": 0, "seq": 9, "at": site.clock.boottime_ns()}
    (tmp_path / "run" / "ack.json").write_text(json.dumps(ack))
    deaf = Answer(RegisterId(uuid="r1"), 6, 7, granted=False, grants={}, revoked={})
    lease.process(deaf, NOBODY)
    assert (lease.heard, lease.fenced()) == (7, 1)
    assert lease.held["h1"].mode is Mode.STANDING
