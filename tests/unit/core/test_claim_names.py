"""Claims have the names that KubeSpawner looks for; most of these users are those of KubeSpawner's own tests (7.1)."""

from __future__ import annotations

import pytest

from federation.core.claim_names import claim_of, claims_of, generation_of, spawner_slug, template

SLUGS = {
    "ada": "ada",
    "jupyter-alex": "jupyter-alex",
    "jupyter-Alex": "jupyter-alex---3a1c285c",
    "jupyter-üni": "jupyter-ni---a5aaf5dd",
    "endswith-": "endswith---165f1166",
    "user@email.com": "user-email-com---0925f997",
    "user-_@_emailß.com": "user-email-com---7e3a7efd",
    "has.dot": "has-dot---03e27fdf",
    "9z9": "x-9z9---224de202",
    "-start": "start---f587e2dc",
    "username--servername": "username-servername---d957f1de",
    "start---f587e2dc": "start-f587e2dc---cc5bb9c9",
    "a" * 46: "a" * 46,
    "a" * 47: "aaaaaaaaaaaaaaaaa--x---b191b19d",
    "a" * 60: "aaaaaaaaaaaaaaaaa--x---dc276c9a",
}


@pytest.mark.parametrize(("user", "slug"), SLUGS.items())
def test_each_user_has_the_claim_that_the_spawner_looks_for(user: str, slug: str) -> None:
    assert spawner_slug(user) == slug
    assert claim_of(user, 0) == f"claim-{slug}"
    assert template(0).format(user_server=spawner_slug(user)) == claim_of(user, 0)
    assert template(3).format(user_server=spawner_slug(user)) == claim_of(user, 3)
    assert len(claim_of(user, 999_999_999)) <= 63


def test_a_claim_tells_its_generation_whatever_its_student_is_called() -> None:
    assert generation_of(claim_of("ada", 0)) == 0
    assert generation_of(claim_of("ada", 12)) == 12
    assert generation_of(claim_of("2-ada", 0)) == 0
    assert claim_of("2-ada", 0) != claim_of("ada", 2)
    for other in ("hub-db-dir", "homes", "claim", "claim-", "claim0-ada", "claim01-ada", "my-claim-ada"):
        assert generation_of(other) is None


def test_the_claims_of_a_generation_can_be_shown() -> None:
    assert (claims_of(0), claims_of(2)) == ("claim-*", "claim2-*")
