"""Plants bugs: small patches of the product's source, applied while modules are imported, never to the files.

A process plants before it imports anything of the product and then runs one mutant only.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from io import StringIO
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[3]
TABLE = ROOT / "tests/simulation/mutants.toml"
PRODUCT = ("federation", "agents")


class NoSuchText(Exception):
    """The product has changed: a mutant's text is not there (exactly once) any more."""


@dataclass(frozen=True, slots=True)
class Patch:
    file: str
    old: str
    new: str

    def apply(self, source: str) -> str:
        found = source.count(self.old)
        if found != 1:
            raise NoSuchText(f"{self.file}: {found} places have the mutant's text, not one:\n{self.old}")
        return source.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Mutant:
    """`seed` None: none is recorded yet. `story`: a directed schedule; empty: drawn ones. `test`: one that must fail, for
    what no schedule can bring about."""

    name: str
    invariant: str
    story: str
    patches: tuple[Patch, ...]
    seed: int | None = None
    test: str = ""


def read_mutants(table: Path = TABLE) -> tuple[Mutant, ...]:
    """All mutants of the table."""
    return tuple(
        Mutant(
            name=entry["name"],
            invariant=entry["invariant"],
            story=entry["story"],
            patches=tuple(Patch(**patch) for patch in entry["patch"]),
            seed=entry.get("seed"),
            test=entry.get("test", ""),
        )
        for entry in tomllib.loads(table.read_text())["mutant"]
    )


def patched(patches: Sequence[Patch]) -> dict[str, str]:
    """File -> its text with all its patches."""
    texts: dict[str, str] = {}
    for patch in patches:
        texts[patch.file] = patch.apply(texts.get(patch.file) or (ROOT / patch.file).read_text())
    return texts


class Planter(MetaPathFinder):
    """Imports the patched text in place of the file's."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = {file.removesuffix(".py").replace("/", "."): (file, text) for file, text in texts.items()}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._texts:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = PlantedLoader(fullname, spec.origin, self._texts[fullname][1])
        return spec


class PlantedLoader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, text: str) -> None:
        super().__init__(fullname, path)
        self._text = text

    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        return compile(self._text, f"{self.path} (mutant)", "exec")


def plant(mutant: Mutant) -> None:
    """From now on the product is imported with the bug in it. NoSuchText if the patch does not fit."""
    texts = patched(mutant.patches)
    for name in [
        name for name in sys.modules if name.split(".")[0] in PRODUCT and not name.startswith("federation.api")
    ]:
        del sys.modules[name]
    sys.meta_path.insert(0, Planter(texts))


def fails(test: str) -> tuple[int | None, str]:
    """Whether a test that knows of the bug fails with it; a test that cannot be run has found nothing."""
    import pytest  # noqa: PLC0415 - only here

    with redirect_stdout(StringIO()) as said:
        code = pytest.main([str(ROOT / test), "-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly"])
    if code is pytest.ExitCode.TESTS_FAILED:
        return 1, f"{test.rpartition('::')[2]} fails"
    return None, said.getvalue()[-300:]


def find(mutant: Mutant, seeds: Sequence[int]) -> tuple[int | None, str]:
    """In this process: the first seed whose run violates the mutant's invariant, and what was seen there."""
    plant(mutant)
    if mutant.test:
        return fails(mutant.test)
    from tests.support.sim.campaign import run_schedule  # noqa: PLC0415 - after the bug was planted
    from tests.support.sim.directed import DIRECTED  # noqa: PLC0415
    from tests.support.sim.schedule import draw  # noqa: PLC0415

    others: dict[str, str] = {}
    for seed in seeds:
        try:
            result = run_schedule(DIRECTED[mutant.story](seed) if mutant.story else draw(seed))
        except TimeoutError:
            others["none"] = "the federation could not even be set up"
            continue
        for violation in result.violations:
            if violation.invariant.split()[0] == mutant.invariant:
                return seed, violation.text
            others[violation.invariant] = violation.text
    return None, f"other invariants: {others}" if others else "nothing was violated"
