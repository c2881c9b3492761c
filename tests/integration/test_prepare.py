"""`fedctl sites prepare`, as a person and a script meet it; the cluster is in memory."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from agents.drivers.memory_preparing import BareCluster
from federation.model.errors import ExitCode
from federation.model.preparation import Objection
from tests.support.control_server import Served, served
from tests.support.federation import until

pytestmark = pytest.mark.timeout(120)

CHARTS = {"traefik": "41.6.0", "cert-manager": "1.21.1"}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("prepare")) as running:
        yield running


@pytest.fixture
def here(everything: Served) -> Served:
    """The site iu has nothing of what its file asks for."""
    everything.federation.sites["iu"].bare = BareCluster(wanted=dict(CHARTS))
    return everything


def bare(here: Served) -> BareCluster:
    return here.federation.sites["iu"].bare


def test_a_plan_is_a_table_and_changes_nothing(here: Served) -> None:
    answer = here.ok("sites", "prepare", "iu", "--plan")
    head, *rows = answer.out.splitlines()
    assert head.split() == ["CHART", "VERSION", "NAMESPACE", "ACTION", "NOW", "VALUES", "WHY"]
    assert [row.split()[:4] for row in rows] == [
        ["traefik", "41.6.0", "traefik", "install"],
        ["cert-manager", "1.21.1", "cert-manager", "install"],
    ]
    assert bare(here).installed == {}


def test_with_yes_it_is_done_each_step_is_shown_and_again_there_is_nothing_to_do(here: Served) -> None:
    answer = here.ok("sites", "prepare", "iu", "--yes")
    assert answer.out.splitlines()[-1] == "iu: prepared"
    for chart in CHARTS:
        assert f"{chart}  " in answer.err
    assert bare(here).installed == CHARTS
    assert "there is nothing to do" in here.ok("sites", "prepare", "iu", "--yes").err
    assert "site.prepare" in here.ok("events", "iu").out


def test_a_script_gets_the_plan_and_the_steps(here: Served) -> None:
    body = json.loads(here.ok("sites", "prepare", "iu", "--yes", "-o", "json").out)
    assert (body["kind"], body["metadata"]["name"]) == ("PreparedSite", "iu")
    assert [item["chart"] for item in body["status"]["plan"]["items"]] == list(CHARTS)
    assert [step["chart"] for step in body["status"]["steps"] if step["state"] == "done"] == list(CHARTS)


def test_nobody_is_asked_where_nobody_is(here: Served) -> None:
    answer = here.fedctl("sites", "prepare", "iu")
    assert answer.code == ExitCode.BAD_INPUT
    assert "--yes" in answer.err
    assert bare(here).installed == {}


def test_what_is_in_the_way_is_said_with_its_place_and_nothing_is_done(here: Served) -> None:
    bare(here).against = (Objection(at="spec.prepare.storage", wrong="rook needs 3 nodes", todo="label some"),)
    answer = here.fedctl("sites", "prepare", "iu", "--yes")
    assert answer.code == ExitCode.REFUSED
    assert "spec.prepare.storage: rook needs 3 nodes\n  label some" in answer.err
    assert bare(here).installed == {}


def test_what_fails_is_said_and_the_next_run_goes_on(here: Served) -> None:
    bare(here).stuck = "cert-manager"
    answer = here.fedctl("sites", "prepare", "iu", "--yes")
    assert answer.code == ExitCode.FAILED
    assert "it does not come up" in answer.err
    assert bare(here).installed == {"traefik": "41.6.0"}
    bare(here).stuck = ""
    assert here.ok("sites", "prepare", "iu", "--yes").out.splitlines()[-1] == "iu: prepared"


def test_ctrl_c_ends_the_watching_and_not_the_work_which_is_found_again(here: Served) -> None:
    bare(here).takes_s = 1.5
    running = here.begin("sites", "prepare", "iu", "--yes")
    assert running.stderr is not None
    while "begun" not in running.stderr.readline():
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _out, err = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "it goes on" in err
    again = here.ok("sites", "prepare", "iu")  # nobody is asked: it was ordered already
    assert "is being carried out" in again.err
    until(lambda: bare(here).installed == CHARTS, "it was carried out")


def test_watching_has_an_end_and_the_work_has_not(here: Served) -> None:
    bare(here).takes_s = 1.5
    answer = here.fedctl("sites", "prepare", "iu", "--yes", "--timeout", "0.5")
    assert answer.code == ExitCode.TIMED_OUT
    assert "it goes on" in answer.err
    until(lambda: bare(here).installed == CHARTS, "it was carried out")


@pytest.mark.parametrize(
    ("words", "context", "code", "said"),
    [
        (("iu",), "vic", ExitCode.REFUSED, "may not"),
        (("nowhere",), "ada", ExitCode.NOT_FOUND, "no site named nowhere"),
        ((), "ada", ExitCode.BAD_INPUT, "needs one site"),
        (("iu", "-o", "name"), "ada", ExitCode.BAD_INPUT, "no form name"),
    ],
)
def test_who_may_not_and_what_is_not_there(
    here: Served, words: tuple[str, ...], context: str, code: ExitCode, said: str
) -> None:
    answer = here.fedctl("sites", "prepare", *words, context=context)
    assert answer.code == code
    assert said in answer.err
