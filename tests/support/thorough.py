"""Cases of which `make test` runs some, and `make test-all` every one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from _pytest.mark import ParameterSet


def cases(every: Sequence[str], usual: Sequence[str]) -> list[str | ParameterSet]:
    """For `parametrize`: those that are not usual are thorough."""
    return [one if one in usual else pytest.param(one, marks=pytest.mark.thorough) for one in every]
