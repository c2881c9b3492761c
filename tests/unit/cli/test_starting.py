"""Waiting for a local federation to be up: what can go wrong meanwhile, and how it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.cli.client import Client
from federation.cli.contexts import Context
from federation.cli.local.layout import Choices
from federation.cli.local.starting import wait_until_up
from federation.model.errors import CATALOGUE, DriverError, ExitCode
from tests.support.certificates import Certificates

UUID = "01234567-89ab-cdef-0123-456789abcdef"


def test_a_supervisor_that_ended_is_a_failure_and_shows_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "supervisor.log"
    log.write_text("".join(f"line {n}\n" for n in range(30)) + "error: the disk is full\n")
    tls = Certificates(tmp_path / "pki", UUID).user("admin")
    client = Client(Context("f", ("127.0.0.1:9",), str(tls.ca), str(tls.cert), str(tls.key)))
    with pytest.raises(DriverError, match="the disk is full") as error:
        wait_until_up(client, Choices("f", UUID, {}, {"iu": "u"}), lambda: False, log)
    client.close()
    assert "line 3\n" not in error.value.message, "the end alone"
    assert CATALOGUE[error.value.code].exit_code is ExitCode.FAILED
    assert "fedctl up" in error.value.help
