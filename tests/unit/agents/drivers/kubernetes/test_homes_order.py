"""An order and its answer are the same on both sides, and errors come over as what they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.drivers.base import CopyRef, Placed, Saved, SavedHome, UnsentHome, UnsentWork
from agents.drivers.kubernetes.homes_order import Call, CopyText, HomesAnswer, HomesOrder, OwnerText, Wrong
from agents.drivers.local.restic_runs import CopyFailed
from agents.drivers.local.settings import CopyStore, Owner
from federation.model.errors import DeadlineExceeded, DriverError, FederationError, NotFound, StaleEpoch
from federation.model.identity import Epoch
from federation.runtime.restic_program import Trouble

HUB = "atm101-abc123"
ORDER = HomesOrder(
    call=Call.SAVE,
    site="iu",
    hub=HUB,
    epoch=Epoch(era=1, n=2),
    password="not to be shown",
    limit_s=60.0,
    store="/srv/copies",
    homes_owner=OwnerText(uid=1000, gid=100),
    database_owner=OwnerText(uid=1000, gid=1000),
    homes={"ada": "ada"},
)


def test_an_order_is_read_as_it_was_written() -> None:
    order = ORDER.revise(source=CopyText.of(CopyRef("tacc", HUB, "a" * 64)))
    assert HomesOrder.model_validate_json(order.model_dump_json()) == order
    assert order.copy_ref == CopyRef("tacc", HUB, "a" * 64)


def test_a_password_is_not_shown() -> None:
    assert ORDER.password not in repr(ORDER)


def test_an_order_that_lacks_its_copy_is_an_error() -> None:
    with pytest.raises(DriverError, match="names no copy"):
        _ = ORDER.copy_ref


def test_the_pod_looks_like_a_local_site() -> None:
    settings = ORDER.revise(has_keys=True, has_trusted=True).settings(Path("/pod"))
    assert settings.site == "iu"
    keys, trusted = Path("/pod/order/store.env"), Path("/pod/order/store-ca.pem")
    assert settings.copies == CopyStore("/srv/copies", keys, trusted)
    assert settings.hub_dir(HUB) / settings.hub_database == ORDER.hub_dir(Path("/pod")) / "jupyterhub.sqlite"
    assert settings.homes_owner == Owner(1000, 100)
    assert ORDER.settings().copies == CopyStore("/srv/copies")


def test_the_tree_is_always_at_the_same_place_so_that_restic_knows_what_has_not_changed() -> None:
    assert ORDER.tree(Path("/pod")) == Path("/pod/work/homes", HUB)
    assert ORDER.revise(epoch=Epoch(era=2, n=1), run="other").tree() == ORDER.tree()
    assert ORDER.revise(call=Call.RESTORE).tree(Path("/pod")) == Path("/pod/work/homes", f".restoring-{HUB}")


@pytest.mark.parametrize(
    "answer",
    [
        HomesAnswer(),
        HomesAnswer(saved=Saved("s", {"ada": SavedHome(5, changed=True)}, 1, 5, 5, 0.5, ("ada/b",), database=True)),
        HomesAnswer(unsent=UnsentWork("s", {"ada": UnsentHome(1, 5)}, ("b",))),
        HomesAnswer(placed=Placed(done=("ada",), there=("bob",))),
    ],
)
def test_an_answer_is_found_in_a_log_and_read_as_it_was_written(answer: HomesAnswer) -> None:
    log = f"a line\n{HomesAnswer(placed=Placed()).line}\n{answer.line}\nanother\n"
    assert HomesAnswer.read(log) == answer


def test_a_log_without_a_whole_answer_has_none() -> None:
    assert HomesAnswer.read("") is None
    assert HomesAnswer.read(HomesAnswer(placed=Placed(done=("ada",))).line[:-5]) is None


def carried(error: FederationError) -> FederationError:
    answer = HomesAnswer.read(HomesAnswer(wrong=Wrong.of(error)).line)
    assert answer is not None
    assert answer.wrong is not None
    return answer.wrong.error


@pytest.mark.parametrize("kind", [NotFound, StaleEpoch, DeadlineExceeded, FederationError])
def test_an_error_comes_over_as_what_it_was(kind: type[FederationError]) -> None:
    error = carried(kind("what happened"))
    assert type(error) is kind
    assert error.message == "what happened"
    assert error.help == kind("").help


def test_how_long_to_wait_comes_over_and_whatever_a_driver_says_is_a_drivers_error() -> None:
    error = carried(CopyFailed(Trouble.DAMAGED, "damaged"))
    assert type(error) is DriverError
    assert error.delay_s == 30.0
    never = carried(DriverError("never", delay_s=None, help="do this"))
    assert isinstance(never, DriverError)
    assert (never.delay_s, never.help) == (None, "do this")
