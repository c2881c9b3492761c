"""A chart as it lies on the disk, in a folder or as an archive. Our own come with the program."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from federation.model.errors import InvalidRequest
from federation.runtime.chart_archives import archives_of

HERE = Path(__file__).resolve()
OWN = (HERE.parents[2] / "charts", HERE.parents[3] / "charts")  # where a wheel has them, and a checkout


@dataclass(frozen=True, slots=True)
class Chart:
    """What its Chart.yaml says. `app_version`: of what it runs, here JupyterHub. `kubernetes`: the versions that it takes;
    empty: all."""

    path: Path
    name: str
    version: str
    app_version: str
    kubernetes: str = ""

    @classmethod
    def find(cls, folder: Path, name: str) -> Chart:
        """The folder `name` in `folder`, else its one archive. InvalidRequest names what is missing."""
        here = folder / name
        if not here.is_dir():
            archives = archives_of(folder, name)
            if len(archives) != 1:
                found = "is not there" if not archives else f"is there as {len(archives)} archives"
                wrong = f"the chart {name} {found} in {folder}"
                raise InvalidRequest(wrong, help="spec.cluster.charts, or HUBFED_CHARTS, is a folder with one of it.")
            here = archives[0]
        return cls.read(here)

    @classmethod
    def own(cls, name: str, folders: tuple[Path, ...] = OWN) -> Chart:
        """One of ours. InvalidRequest if the program was installed without them."""
        found = next((folder / name for folder in folders if (folder / name).is_dir()), None)
        if found is None:
            wrong = f"the chart {name} of this program is not in {' or '.join(map(str, folders))}"
            raise InvalidRequest(wrong, help="Install the program anew: its charts come with it.")
        return cls.read(found)

    @classmethod
    def read(cls, path: Path) -> Chart:
        """InvalidRequest if it is no chart."""
        try:
            said = yaml.safe_load(_member(path, "Chart.yaml"))
            known = (said.get("appVersion", ""), said.get("kubeVersion", ""))
            return cls(path, str(said["name"]), str(said["version"]), *map(str, known))
        except (OSError, KeyError, TypeError, AttributeError, tarfile.TarError, yaml.YAMLError) as error:
            raise InvalidRequest(f"{path} is no chart: {type(error).__name__}: {error}") from None

    def values(self) -> dict[str, Any]:
        """Its defaults. InvalidRequest if it has none that can be read."""
        try:
            return dict(yaml.safe_load(_member(self.path, "values.yaml")))
        except (OSError, KeyError, TypeError, ValueError, tarfile.TarError, yaml.YAMLError) as error:
            raise InvalidRequest(f"{self.path} has no values.yaml: {type(error).__name__}: {error}") from None


def _member(path: Path, name: str) -> bytes:
    """A file at the top of the chart. KeyError if an archive has none."""
    if path.is_dir():
        return (path / name).read_bytes()
    with tarfile.open(path) as archive:
        at_the_top = [one for one in archive.getnames() if one.count("/") == 1 and one.endswith(f"/{name}")]
        content = archive.extractfile(at_the_top[0] if at_the_top else name)
        return content.read() if content is not None else b""
