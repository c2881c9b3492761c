"""fed-homes: what the short pods run that save and restore homes of a site with a cluster. It reads one order, carries it
out on what is mounted beside that, and says what became of it in the last line of its output."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import structlog
from pydantic import ValidationError

from agents.drivers.kubernetes.homes_order import ORDER, ROOT, HomesAnswer, HomesOrder, Wrong
from agents.drivers.kubernetes.homes_work import HomesWork
from federation.model.errors import FederationError, InvalidRequest
from federation.runtime.clock import SystemClock
from federation.runtime.logs import set_up_logging
from federation.runtime.processes import SystemProcesses

log = structlog.get_logger(__name__)


def main() -> int:
    """Entry point. Ends well if there is an answer, be it an error."""
    parser = argparse.ArgumentParser(prog="fed-homes", description="Works on homes in a pod, by one order of an agent.")
    parser.add_argument(
        "--order",
        type=Path,
        default=ROOT / "order" / ORDER,
        metavar="FILE",
        help="the order; homes are mounted beside it",
    )
    file: Path = parser.parse_args().order
    set_up_logging(SystemClock(), stream=sys.stdout)  # one stream: no line comes between the parts of a long one
    try:
        answer = asyncio.run(_work(file).answer())
    except FederationError as error:
        answer = HomesAnswer(wrong=Wrong.of(error))
    except Exception as error:  # the last place where a defect can be said
        log.exception("homes.defect")
        answer = HomesAnswer(wrong=Wrong.of(FederationError(f"a defect of fed-homes: {error!r}")))
    sys.stdout.write(f"{answer.line}\n")
    sys.stdout.flush()
    return 0


def _work(file: Path) -> HomesWork:
    clock = SystemClock()
    try:
        order = HomesOrder.model_validate_json(file.read_bytes())
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        # not the error itself: it quotes what it could not read, and there is a password in it
        raise InvalidRequest(f"fed-homes does not understand its order: {'; '.join(wrong)}") from None
    return HomesWork(order, SystemProcesses(clock), clock, file.parent.parent)


if __name__ == "__main__":
    sys.exit(main())
