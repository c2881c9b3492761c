"""The leader's memory of reports: absence is concluded from a whole report only, of the newest incarnation only."""

from federation.api.v1 import agent_pb2
from federation.coordinator.observations import Observations
from federation.runtime.clock import SystemClock


def observed(*hubs: str, whole: bool = False, gone: tuple[str, ...] = ()) -> agent_pb2.Observed:
    reports = [agent_pb2.HubReport(hub=hub, phase="serving") for hub in hubs]
    return agent_pb2.Observed(whole=whole, hubs=reports, gone=gone, site=agent_pb2.SiteReport(kind="local"))


def phase(observations: Observations, hub: str) -> str | None:
    report = observations.hub_at("iu", hub)
    return report.phase if report else None


def test_changes_before_the_first_whole_report_say_nothing() -> None:
    observations = Observations(SystemClock())
    observations.record("iu", 1, observed("a"))
    assert phase(observations, "a") is None

    observations.record("iu", 1, observed("a", "b", whole=True))
    observations.record("iu", 1, observed(gone=("b",)))
    assert (phase(observations, "a"), phase(observations, "b")) == ("serving", "stopped")


def test_a_new_incarnation_is_not_heard_before_it_says_everything() -> None:
    observations = Observations(SystemClock())
    observations.record("iu", 1, observed("a", whole=True))
    observations.record("iu", 2, observed())
    assert phase(observations, "a") == "serving"

    observations.record("iu", 2, observed(whole=True))
    observations.record("iu", 1, observed("a", whole=True))
    assert phase(observations, "a") == "stopped"
