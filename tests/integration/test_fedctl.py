"""fedctl as a person and a script meet it: what it prints where, what it changes, which code it ends with."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from federation.cli.main import VERBS
from federation.model.errors import ExitCode, Unavailable
from federation.store.interface import StoreStatus
from tests.support.control_server import CORES, FEDCTL, Served, served

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("fedctl")) as running:
        yield running


def until(true: Callable[[], bool], what: str, limit_s: float = 20.0) -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_place_shows_each_step_and_prints_where_the_class_is(here: Served) -> None:
    answer = here.ok("place", here.classroom("alpha"))
    assert answer.out.split() == ["alpha", "iu", "Serving", "http://alpha.localhost"]
    for step in ("admitted", "assigned", "started", "verified", "named", "done"):
        assert f"  {step} " in answer.err
    assert "shown only now: " in answer.err, "the password that was drawn"


def test_a_list_has_the_shape_of_kubernetes(here: Served) -> None:
    here.ok("place", here.classroom("beta"))
    until(lambda: here.document("get", "beta")["status"]["phase"] == "Serving", "it serves")
    body = here.document("get")
    assert body["kind"] == "List"
    beta = next(item for item in body["items"] if item["metadata"]["name"] == "beta")
    assert beta["apiVersion"] == "hubfed/v1"
    assert beta["spec"]["roster"]["expected"] == 2
    assert {"site", "epoch", "url", "conditions"} <= beta["status"].keys()
    assert beta["status"]["site"] == "iu"
    assert beta["status"]["epoch"] == "1.1"
    assert {"type", "status", "reason", "since"} <= beta["status"]["conditions"][0].keys()
    single = here.document("get", "beta")
    assert single["metadata"]["name"] == "beta"
    assert yaml.safe_load(here.ok("get", "beta", "-o", "yaml").out)["metadata"]["uid"] == single["metadata"]["uid"]


def test_tables_are_for_people_and_names_for_scripts(here: Served) -> None:
    here.ok("place", here.classroom("gamma"))
    head, *rows = here.ok("get").out.splitlines()
    assert head.split() == ["NAME", "SITE", "PHASE", "EPOCH", "URL", "AGE"]
    assert any(row.split()[:2] == ["gamma", "iu"] for row in rows)
    wide = here.ok("get", "-o", "wide").out.splitlines()[0].split()
    assert wide == [*head.split(), "STUDENTS", "SERVERS", "GENERATION", "MODE", "UID"]
    assert "gamma" in here.ok("get", "-o", "name").out.splitlines()
    assert here.ok("get", "--site", "tacc", "-o", "name").out == ""


def test_place_twice_is_a_no_op_and_a_change_is_shown_before_it_is_applied(here: Served) -> None:
    path = here.classroom("delta")
    here.ok("place", path)
    again = here.ok("place", path)
    assert "unchanged" in again.err
    here.classroom("delta", roster={"expected": 3, "admins": ["prof"], "users": ["s01", "s02", "s03"]})
    plan = here.ok("place", path, "--plan")
    assert "spec.roster.users" in plan.out
    assert "+s03" in plan.out
    assert here.document("get", "delta")["metadata"]["generation"] == 1, "--plan changes nothing"
    applied = here.ok("place", path)
    assert "+s03" in applied.out + applied.err
    assert here.document("get", "delta")["metadata"]["generation"] == 2


def test_a_file_of_an_older_generation_is_refused_unless_with_overwrite(here: Served) -> None:
    path = here.classroom("epsilon")
    here.ok("place", path)
    got = here.folder / "got.yaml"
    got.write_text(here.ok("get", "epsilon", "-o", "yaml").out)
    assert "unchanged" in here.ok("place", str(got)).err, "what was got can be placed again"
    here.classroom("epsilon", roster={"expected": 5, "admins": ["prof"], "users": ["s01"]})
    here.ok("place", path)
    old = here.fedctl("place", str(got))
    assert old.code == ExitCode.CONFLICT
    assert "generation 1" in old.err
    assert "--overwrite" in old.err
    assert here.document("get", "epsilon")["spec"]["roster"]["expected"] == 5
    here.ok("place", str(got), "--overwrite")
    assert here.document("get", "epsilon")["spec"]["roster"]["expected"] == 2


def test_of_two_admins_who_place_different_files_at_once_one_wins_and_the_other_is_told(here: Served) -> None:
    paths = []
    for seats in (2, 3):
        path = Path(here.classroom("zeta", roster={"expected": seats, "admins": ["prof"], "users": ["s01"]}))
        paths.append(path.rename(path.with_name(f"zeta-{seats}.yaml")))
    racers = [here.begin("place", str(path), "--no-wait") for path in paths]
    ends = [(racer.communicate(timeout=30)[1], racer.returncode) for racer in racers]
    codes = sorted(code for _err, code in ends)
    assert codes in ([0, 0], [0, ExitCode.CONFLICT]), ends  # the second may have come later and applied its change
    generation = here.document("get", "zeta")["metadata"]["generation"]
    assert generation == (2 if codes == [0, 0] else 1), "nothing was lost without a word"


def test_bad_files_show_every_error_with_its_place_and_nothing_is_sent(here: Served) -> None:
    path = here.classroom("bad", resources={"memory": {"guarantee": "3G", "limit": "2G"}}, bogus=1, tls={"mode": "x"})
    for words in (("check", path), ("place", path)):
        answer = here.fedctl(*words)
        assert answer.code == ExitCode.BAD_INPUT
        assert answer.out == ""
        assert answer.err.count(f"{path}:") == 3
    assert here.fedctl("get", "bad").code == ExitCode.NOT_FOUND


def test_a_file_that_cannot_be_read_hides_nothing_that_is_wrong_with_the_others(here: Served) -> None:
    path = here.classroom("unread", roster={"expected": 2, "admins": ["prof"], "users_file": "nope.csv"}, bogus=1)
    nowhere = str(here.folder / "nowhere.yaml")
    for verb in ("check", "place"):
        answer = here.fedctl(verb, nowhere, path)
        assert answer.code == ExitCode.BAD_INPUT
        assert f"{nowhere}:1:1: the file cannot be read: No such file or directory; " in answer.err
        assert "spec.roster.users_file: " in answer.err
        assert "nope.csv cannot be read: No such file or directory; " in answer.err
        assert "unknown key bogus" in answer.err


def test_what_only_a_coordinator_knows_is_told_of_all_files_with_its_place_and_nothing_is_written(here: Served) -> None:
    here.ok("place", here.classroom("holder"))
    good = here.classroom("good1")
    sites = here.classroom("bad1", placement={"allow": ["iu", "mars"], "standby": "mars"})
    host = here.classroom("bad2", dns={"host": "holder.localhost"})
    secret = here.classroom("bad3", auth={"type": "dummy", "secret": "never-set"})
    huge = here.classroom("huge2", roster={"expected": 300, "admins": ["prof"]})
    for words in (("place",), ("place", "--plan"), ("plan",)):
        answer = here.fedctl(*words, good, sites, host, secret, huge)
        assert answer.code == ExitCode.BAD_INPUT, answer
        told = answer.err.splitlines()
        assert answer.out == ""
        assert [line.rpartition("/")[2].partition("; ")[0] for line in told[:-1]] == [
            f"{where(sites, 'mars', 1)}: spec.placement.allow[1]: unknown site mars",
            f"{where(sites, 'mars', 2)}: spec.placement.standby: unknown site mars",
            f"{where(host, 'holder.l')}: spec.dns.host: host name holder.localhost belongs to classroom holder",
            f"{where(secret, 'never-set')}: spec.auth.secret: secret never-set does not exist",
            f"{where(huge, '300')}: spec.roster.expected: 300 seats of 1 cores and 1G need 300 cores and 300G",
        ]
        assert "; one of iu, tacc; e.g. iu" in told[0]
        assert told[-1] == "5 errors; nothing was written"
    assert here.fedctl("get", "good1").code == ExitCode.NOT_FOUND


def where(path: str, word: str, nth: int = 1) -> str:
    """FILE:LINE:COLUMN of the nth time that a word stands in a file."""
    text = Path(path).read_text()
    index = -1
    for _ in range(nth):
        index = text.index(word, index + 1)
    line = text.count("\n", 0, index) + 1
    return f"{Path(path).name}:{line}:{index - text.rfind(chr(10), 0, index)}"


def test_of_several_files_one_that_is_older_than_its_live_class_keeps_all_from_being_written(here: Served) -> None:
    path = here.classroom("kestrel")
    here.ok("place", path)
    got = here.folder / "kestrel-got.yaml"
    got.write_text(here.ok("get", "kestrel", "-o", "yaml").out)
    here.classroom("kestrel", roster={"expected": 5, "admins": ["prof"], "users": ["s01"]})
    here.ok("place", path)
    new = here.classroom("heron")
    for words in (("place",), ("place", "--plan")):
        refused = here.fedctl(*words, new, str(got))
        assert refused.code == ExitCode.CONFLICT
        assert "your file was taken from generation 1" in refused.err
        assert "--overwrite" in refused.err
    assert here.fedctl("get", "heron").code == ExitCode.NOT_FOUND
    assert here.fedctl("place", "--plan", "--overwrite", str(got)).code == 0


def test_check_against_sites_says_how_many_seats_there_are(here: Served) -> None:
    site = here.folder / "iu-site.yaml"
    site.write_text((Path(__file__).parents[2] / "configs/sites/iu.yaml").read_text())
    path = here.classroom("huge", roster={"expected": 300, "admins": ["prof"]}, placement={"allow": ["iu"]})
    answer = here.fedctl("check", path, "--sites", str(site))
    assert answer.code == ExitCode.BAD_INPUT
    assert f"{path}:" in answer.err
    assert "300 seats" in answer.err


@pytest.mark.parametrize(
    ("words", "context", "code", "says"),
    [
        (("get", "nobody"), "ada", ExitCode.NOT_FOUND, "no classroom is named nobody"),
        (("place", "missing.yaml"), "ada", ExitCode.BAD_INPUT, "missing.yaml"),
        (("get",), "all-dead", ExitCode.UNAVAILABLE, "does not answer"),
        (("get",), "nowhere", ExitCode.NOT_FOUND, "no context is named"),
        (("retire", "alpha"), "vic", ExitCode.REFUSED, "vic"),
        (("get",), "eve", ExitCode.REFUSED, "eve"),
        (("retire", "nobody"), "ada", ExitCode.NOT_FOUND, "nobody"),
        (("frobnicate",), "ada", ExitCode.BAD_INPUT, "fedctl --help"),
        (("plac",), "ada", ExitCode.BAD_INPUT, "did you mean place?"),
        (("get", "--bogus"), "ada", ExitCode.BAD_INPUT, "usage: fedctl get"),
        (("get", "-l", "nonsense"), "ada", ExitCode.BAD_INPUT, "KEY=VALUE"),
        (("get", "--site", "mars"), "ada", ExitCode.NOT_FOUND, "no site named mars has joined"),
        (("retire", "alpha", "--timeout", "-1"), "ada", ExitCode.BAD_INPUT, "number of seconds"),
        (("logs", "alpha", "--tail", "-5"), "ada", ExitCode.BAD_INPUT, "whole number from 1 on"),
        (("events", "--limit", "-1"), "ada", ExitCode.BAD_INPUT, "whole number from 1 on"),
    ],
)
def test_failures_have_their_code_and_say_what_to_do(
    here: Served, words: tuple[str, ...], context: str, code: ExitCode, says: str
) -> None:
    answer = here.fedctl(*words, context=context)
    assert answer.code == code, answer
    assert says in answer.err
    assert "Traceback" not in answer.err
    assert answer.out == ""


def test_a_refused_start_leaves_nothing_behind(here: Served) -> None:
    folder = here.folder / "never"
    answer = here.fedctl("up", "--dir", str(folder), "--sites", "A b")
    assert answer.code == ExitCode.BAD_INPUT
    assert "'A b' cannot be a site's name" in answer.err
    assert not folder.exists()


def test_a_traceback_is_for_those_who_ask(here: Served) -> None:
    assert "Traceback" in here.fedctl("get", "nobody", "--debug").err


def test_a_dead_coordinator_is_passed_over(here: Served) -> None:
    began = time.monotonic()
    assert "mu " in here.ok("place", here.classroom("mu"), context="dead-first").out
    here.ok("get", context="dead-first")
    assert time.monotonic() - began < 20


def test_waiting_ends_with_a_code_of_its_own_and_the_operation_goes_on(here: Served) -> None:
    here.ok("place", here.classroom("filler"))
    path = here.classroom("waits", placement={"allow": ["iu"]}, roster={"expected": CORES, "admins": ["prof"]})
    answer = here.fedctl("place", path, "--timeout", "1")
    assert answer.code == ExitCode.TIMED_OUT, answer
    assert "the operation goes on" in answer.err
    assert f"cores for {CORES} seats" in answer.err, "what it waits for"
    assert "no site fits" in here.ok("describe", "waits").out
    assert "it has no homes: it never ran at a site" in here.ok("retire", "waits").out


def test_ctrl_c_while_waiting_leaves_the_operation_and_says_so(here: Served) -> None:
    here.ok("place", here.classroom("ballast"))
    path = here.classroom("stopped", placement={"allow": ["iu"]}, roster={"expected": CORES, "admins": ["prof"]})
    waiting = here.begin("place", path)
    until(lambda: here.fedctl("get", "stopped").code == 0, "accepted")
    time.sleep(0.5)
    waiting.send_signal(signal.SIGINT)
    _out, err = waiting.communicate(timeout=10)
    assert waiting.returncode == 130
    assert "the operation goes on" in err
    assert "Traceback" not in err
    here.ok("retire", "stopped")


def test_retire_says_where_homes_are_and_restore_brings_the_class_back(here: Served) -> None:
    here.ok("place", here.classroom("eta"))
    uid = here.document("get", "eta")["metadata"]["uid"]
    retired = here.ok("retire", "eta")
    assert "homes are kept at least 90 days in " in retired.out
    assert "nothing deletes them yet" in retired.out
    gone = here.document("get", "eta")["status"]
    assert gone["url"] == ""
    assert "mode" not in gone
    assert [c["type"] for c in gone["conditions"]] == ["Serving", "Owned", "PeerClean"], "nothing that is not so"
    assert "eta" not in here.ok("get", "-o", "name").out.split()
    assert "eta" in here.ok("get", "--retired", "-o", "name").out.split()
    here.ok("restore", "eta")
    assert here.document("get", "eta")["metadata"]["uid"] == uid


def test_a_class_whose_name_was_placed_again_is_found_restored_and_deleted_by_its_uid(here: Served) -> None:
    path = here.classroom("tau")
    uids = []
    for _ in range(3):
        here.ok("place", path)
        uids.append(here.document("get", "tau")["metadata"]["uid"])
        if len(uids) < 3:
            here.ok("retire", "tau")
    first, second, third = uids
    listed = here.ok("get", "--retired", "-o", "name").out.split()
    assert {"tau", first, second} <= set(listed)
    assert first in here.ok("get", "--retired").out
    assert here.document("describe", first)["metadata"]["uid"] == first
    assert first in here.ok("get", first, "-o", "wide").out

    refused = here.fedctl("restore", "tau")
    assert refused.code == ExitCode.REFUSED
    for part in (f"tau is live as {third}", f"{first} (homes: ", f"{second} (homes: ", " at iu)"):
        assert part in refused.err
    taken = here.fedctl("restore", first)
    assert taken.code == ExitCode.REFUSED
    assert f"its name tau belongs to {third}" in taken.err

    assert here.fedctl("retire", first, "--delete-homes", "--yes-delete", "tau").code == ExitCode.BAD_INPUT
    here.ok("retire", first, "--delete-homes", "--yes-delete", first)
    homes = here.federation.sites["iu"].homes
    assert first not in homes
    assert {second, third} <= set(homes)
    assert here.fedctl("restore", first).code == ExitCode.REFUSED
    other = here.classroom("upsilon", dns={"host": "tau.localhost"})
    assert "belongs to classroom tau" in here.fedctl("place", other).err, "the live class keeps its host name"

    here.ok("retire", "tau")
    here.ok("restore", second)
    assert here.document("get", "tau")["metadata"]["uid"] == second
    assert third in here.ok("get", "--retired", "-o", "name").out.split()


def test_a_class_without_homes_is_not_said_to_have_copies(here: Served) -> None:
    here.ok("place", here.classroom("kappa-none", storage={"type": "none"}))
    assert "copies" not in here.ok("retire", "kappa-none", "--delete-homes", "--yes-delete", "kappa-none").err


def test_deleting_homes_needs_the_name_typed(here: Served) -> None:
    here.ok("place", here.classroom("theta"))
    for words in (("--delete-homes",), ("--delete-homes", "--yes-delete", "alpha")):
        answer = here.fedctl("retire", "theta", *words)
        assert answer.code == ExitCode.BAD_INPUT, answer
        assert "theta" in answer.err
    assert here.document("get", "theta")["status"]["site"] == "iu"
    assert "copies of them" in here.ok("retire", "theta", "--delete-homes", "--yes-delete", "theta").err
    refused = here.fedctl("restore", "theta")
    assert refused.code == ExitCode.REFUSED
    assert "were deleted" in refused.err


def test_describe_tells_everything_about_one_class(here: Served) -> None:
    path = here.classroom("iota", slo={"rto": "10m"})
    here.ok("place", path)
    text = here.ok("describe", "iota").out
    for part in (
        "Conditions:",
        "Placement:",
        "Not yet in effect:",
        "Events:",
        "preferred and fits",
        "spec.slo",
        "tacc: ",
    ):
        assert part in text, part
    body = here.document("describe", "iota")
    assert body["events"]
    assert body["status"]["assignment"]["verdicts"]


def test_a_class_is_moved_with_its_steps_shown_and_a_second_move_there_is_a_no_op(here: Served) -> None:
    here.ok("place", here.classroom("rho"))
    until(lambda: here.condition("rho", "DataFresh") == "True", "its homes were copied")
    answer = here.ok("move", "rho", "--drain", "0", "--reason", "a rehearsal")
    assert answer.out.split() == ["rho", "tacc", "Serving", "http://rho.localhost"]
    for step in ("checked", "drained", "stopped", "copied", "released", "owned", "started", "done"):
        assert f"  {step} " in answer.err
    assert here.document("get", "rho")["status"]["epoch"] == "1.2"
    assert here.ok("move", "rho", "--to", "tacc").out.split()[1] == "tacc"
    assert "a rehearsal" in here.ok("events", "rho").out
    here.ok("move", "rho", "--to", "iu", "--now")
    assert here.ok("move", "rho", "--cancel").out == "rho: no move is under way\n"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("move", "nobody"), ExitCode.NOT_FOUND, "no classroom is named nobody"),
        (("move", "sigma", "--to", "mars"), ExitCode.NOT_FOUND, "no site named mars"),
        (("move", "sigma", "--cancel", "--now"), ExitCode.BAD_INPUT, "--cancel goes with no other"),
        (("move", "sigma", "--drain", "1e9"), ExitCode.BAD_INPUT, "from 0 to 4 hours"),
        (("failover", "sigma", "--vouch", "tacc", "--reason", "fire"), ExitCode.BAD_INPUT, "sigma is iu's"),
        (("failover", "sigma", "--vouch", "iu", "--reason", "fire"), ExitCode.REFUSED, "it lives"),
        (("failover", "sigma", "--vouch", "iu", "--reason", " "), ExitCode.BAD_INPUT, "needs a reason"),
        (("failover", "--vouch", "iu", "--reason", "fire"), ExitCode.BAD_INPUT, "give the names of classes, or --all"),
        (("drain", "mars", "--reason", "dust"), ExitCode.NOT_FOUND, "no site named mars"),
        (("drain", "iu", "--reason", " "), ExitCode.BAD_INPUT, "needs a reason"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_moves_that_are_refused_have_their_code_and_say_why(
    here: Served, words: tuple[str, ...], code: ExitCode, says: str
) -> None:
    here.ok("place", here.classroom("sigma"))
    answer = here.fedctl(*words)
    assert answer.code == code
    assert says in answer.err
    assert here.document("get", "sigma")["status"]["site"] == "iu"


def test_a_drained_site_says_what_becomes_of_each_class_and_is_shown_as_such(here: Served) -> None:
    here.ok(
        "place", here.classroom("plover", placement={"allow": ["iu", "tacc"], "prefer": "tacc", "movable": "never"})
    )
    answer = here.ok("drain", "tacc", "--reason", "new switches")
    try:
        assert answer.out == "tacc: cordoned, and drained\n"
        assert "plover stays: placement.movable is never" in answer.err
        until(lambda: "new switches" in here.ok("sites").out, "the list says so")
        assert "new switches" in here.document("sites", "tacc")["status"]["cordon"]
        assert "was cordoned, and drained already" in here.ok("drain", "tacc", "--reason", "new switches").out
    finally:
        assert here.ok("uncordon", "tacc").out == "tacc: open for hubs again\n"
    assert here.ok("uncordon", "tacc").out == "tacc: was open already\n"
    assert here.document("get", "plover")["status"]["site"] == "tacc", "it stayed"
    here.ok("retire", "plover")


def test_events_watch_and_sites(here: Served) -> None:
    here.ok("place", here.classroom("kappa"))
    assert "place.admitted" in here.ok("events", "kappa").out
    assert here.fedctl("events", "nobody").code == ExitCode.NOT_FOUND
    sites = here.document("sites")["items"]
    assert [site["metadata"]["name"] for site in sites] == ["iu", "tacc"]
    tacc = here.document("sites", "tacc")
    assert (tacc["kind"], tacc["spec"]["kind"], tacc["status"]["capacity"]["cpu_millis"] > 0) == ("Site", "local", True)
    assert here.ok("sites", "-o", "name").out.split() == ["iu", "tacc"]
    watching = here.begin("watch", "kappa", "-o", "json")
    assert watching.stdout is not None
    assert json.loads(watching.stdout.readline())["metadata"]["name"] == "kappa"
    watching.send_signal(signal.SIGINT)
    _out, err = watching.communicate(timeout=10)
    assert "Traceback" not in err


def test_without_the_register_whatever_is_read_says_how_old_it_is(
    here: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.ok("place", here.classroom("xi"))

    async def silent() -> StoreStatus:
        raise Unavailable("status: no register member answered")

    monkeypatch.setattr(here.federation.store, "status", silent)
    monkeypatch.setattr("federation.coordinator.standing.STALE_S", -1.0)
    for words in (
        ("get",),
        ("get", "xi"),
        ("describe", "xi"),
        ("sites",),
        ("sites", "iu"),
        ("events",),
        ("events", "xi"),
    ):
        answer = here.ok(*words, "-o", "json")
        metadata = json.loads(answer.out)["metadata"]
        assert metadata["stale"] is True, words
        assert metadata["ageSeconds"] >= 0
        assert "STALE" in here.ok(*words).err, words
    got = here.folder / "stale.yaml"
    got.write_text(here.ok("get", "xi", "-o", "yaml").out)
    here.ok("check", str(got))

    doctor = here.fedctl("doctor")
    assert doctor.code == ExitCode.FAILED
    assert f"{here.address} answers, but the register does not answer it" in doctor.out
    assert "no register member answered" in doctor.out
    assert "site iu" in doctor.out
    assert "unknown: what is known is" in doctor.out
    assert "Ready=True" not in doctor.out
    assert "register     does not answer; last heard" in here.ok("version").out


def test_what_is_read_while_the_register_answers_has_no_mark(here: Served) -> None:
    here.ok("place", here.classroom("omicron"))
    assert "stale" not in here.document("get", "omicron")["metadata"]
    assert "metadata" not in here.document("sites")
    assert "metadata" not in here.document("events")


def test_secrets_are_taken_from_standard_input_and_never_shown(here: Served) -> None:
    answer = here.ok("secret", "set", "oauth-x", stdin="s3cr3t-planted\n")
    assert answer.out == "oauth-x: sealed to iu, tacc\n"
    listed = here.ok("secret", "list").out
    assert "oauth-x" in listed
    assert "s3cr3t" not in listed
    found = {item["metadata"]["name"]: item["status"] for item in here.document("secret", "list")["items"]}
    assert found["oauth-x"]["sites"] == ["iu", "tacc"]
    here.ok("secret", "rm", "oauth-x")
    assert "oauth-x" not in here.ok("secret", "list").out
    assert here.fedctl("secret", "rm", "oauth-x").code == ExitCode.NOT_FOUND
    assert here.fedctl("secret", "set").code == ExitCode.BAD_INPUT


def test_logs_come_from_the_site(here: Served) -> None:
    here.ok("place", here.classroom("lambda"))
    assert here.ok("logs", "lambda").out
    assert here.fedctl("logs", "nobody").code == ExitCode.NOT_FOUND


def test_doctor_and_version(here: Served) -> None:
    assert "coordinator c1" in here.fedctl("doctor").out
    assert "fedctl" in here.ok("version").out
    assert "does not answer" in here.ok("version", context="all-dead").err


def test_what_scripts_read_has_the_same_keys_whatever_is_said(here: Served) -> None:
    path = here.classroom("pi")
    (plan,) = here.document("plan", path)["items"]
    assert (plan["name"], plan["exists"], plan["feasible"], plan["changes"]) == ("pi", False, True, [])
    assert plan["assignment"]["site"] == "iu"
    assert {v["site"]: v["fits"] for v in plan["assignment"]["verdicts"]} == {"iu": True, "tacc": True}
    here.ok("place", path)
    here.classroom("pi", roster={"expected": 3, "admins": ["prof"], "users": ["s01", "s02", "s03"]})
    (again,) = here.document("plan", path)["items"]
    assert again.keys() == plan.keys()
    assert {"path", "live", "wanted", "effect"} == again["changes"][0].keys()

    doctor = json.loads(here.fedctl("doctor", "-o", "json").out)
    assert doctor["ok"] == all(item["state"] != "red" for item in doctor["items"])
    assert {"state": "ok", "what": "coordinator c1", "why": f"{here.address} leads"} in doctor["items"]
    dead = here.fedctl("doctor", "-o", "json", context="all-dead")
    assert dead.code == ExitCode.FAILED
    assert json.loads(dead.out)["ok"] is False

    known = here.document("version")
    assert known["coordinator"]["id"] == known["coordinator"]["leader"] == "c1"
    assert known["register"]["etcd"] == "memory"
    unheard = json.loads(here.ok("version", "-o", "json", context="all-dead").out)
    assert unheard.keys() == known.keys()
    assert (unheard["coordinator"], unheard["register"]) == (None, None)
    assert "does not answer" in unheard["reason"]


def test_a_thousand_classes_come_in_pages(here: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nu-a", "nu-b", "nu-c"):
        here.ok("place", here.classroom(name))
    monkeypatch.setattr("federation.coordinator.control_service.PAGE_BYTES", 100)
    names = here.ok("get", "-o", "name").out.split()
    monkeypatch.undo()
    assert names == here.ok("get", "-o", "name").out.split()
    assert len(names) > 2


@pytest.mark.parametrize("verb", VERBS)
def test_help_teaches_each_verb(here: Served, verb: str) -> None:
    answer = here.ok(verb, "--help")
    assert f"usage: fedctl {verb}" in answer.out
    assert f"fedctl {verb}" in answer.out.split("\n\n", 1)[1], "an example"


def completions(here: Served, line: str) -> set[str]:
    """What the shell is told at TAB after these words."""
    env = {**here.env, "FEDCTL_CONTEXT": "ada", "_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    words = f'exec 8>"$OUT"; exec 9>/dev/null; exec {FEDCTL}'
    out = here.folder / "completions"
    subprocess.run(["bash", "-c", words], env={**env, "OUT": str(out)}, cwd=here.folder, timeout=20, check=False)
    return {word.strip() for word in out.read_text().split("\x0b")} - {""}


@pytest.mark.timeout(240)
def test_what_is_completed_is_what_the_argument_is_about(here: Served) -> None:
    here.ok("place", here.classroom("completed"))
    here.ok("secret", "set", "oauth-completed", stdin="x")
    beside = here.folder / "beside"  # files in the working directory
    beside.mkdir()
    (beside / "a-file.yaml").touch()
    for line, offered in (
        ("fedctl desc", {"describe"}),
        ("fedctl describe compl", {"completed"}),
        ("fedctl events tac", {"tacc"}),
        ("fedctl sites ", {"iu", "tacc", "join", "prepare"}),
        ("fedctl sites prepare ", {"iu", "tacc"}),
        ("fedctl secret rm oa", {"oauth-completed"}),
        ("fedctl context use ", {"ada", "all-dead", "dead-first", "eve", "vic"}),
        ("fedctl get --site ", {"iu", "tacc"}),
        ("fedctl get --context v", {"vic"}),
        ("fedctl logs completed --tail ", set()),
        (f"fedctl place {beside}/a", {f"{beside}/a-file.yaml"}),
        (f"fedctl sites join {beside}/a", {f"{beside}/a-file.yaml"}),
        (f"fedctl down --dir {here.folder}/bes", {f"{beside}/"}),
    ):
        found = {word for word in completions(here, line) if not word.startswith("-")}
        assert found == offered, line


def test_the_shell_offers_nothing_by_itself(here: Served) -> None:
    script = here.ok("completion", "bash").out
    assert "argcomplete" in script
    assert "-o default" not in script
