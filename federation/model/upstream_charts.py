"""The list of upstream charts (kind UpstreamCharts, `charts/upstream.yaml`): which ones, from where, which bytes of them.

A digest is only ever what somebody has computed of the archive itself. Where nobody has, it is left out, and whoever
fetches the chart is told so.
"""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from federation.model.refusal import Problem, refuse, refuse_all
from federation.model.scalars import Digest, Flag, JsonObject, Site, Text, Url
from federation.model.schema import Model

VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
KUBERNETES = re.compile(r"1\.\d{1,3}")
ARCHIVE = ".tgz"


def _version(value: str) -> str:
    if VERSION.fullmatch(value) is None:
        raise refuse(f"{value!r} is no version of a chart", "three numbers, perhaps with a v before them", "1.20.6")
    return value


def _kubernetes(value: str) -> str:
    if KUBERNETES.fullmatch(value) is None:
        raise refuse(f"{value!r} is no version of Kubernetes", "major and minor, as text", '"1.31"')
    return value


def _repository(value: str) -> str:
    if not value.startswith(("https://", "http://")):
        allowed = "an address of http or https, below which index.yaml is"
        raise refuse(f"{value!r} is no repository of charts", allowed, "https://charts.example.edu/stable")
    return value


ChartVersion = Annotated[Text, AfterValidator(_version)]
Kubernetes = Annotated[Text, AfterValidator(_kubernetes)]
Repository = Annotated[Url, AfterValidator(_repository)]


class ReadyWhen(Model):
    """An object that a program makes of what the chart asks for, and when it is ready."""

    path: Text = Field(description="Where the API server has it.", examples=["/api/v1/namespaces/kube-system"])
    field: Text = Field(description="Of the object, with dots.", examples=["status.phase"])
    value: Text = Field(description="That it then has.", examples=["Ready"])


class PinnedChart(Model):
    """One chart at one version."""

    name: Site = Field(description="As its Chart.yaml has it.", examples=["traefik"])
    repository: Repository = Field(
        description="Below it is index.yaml, which says where the archive is.", examples=["https://charts.example.edu"]
    )
    version: ChartVersion = Field(description="As its Chart.yaml has it.", examples=["41.6.0"])
    digest: Digest | None = Field(None, description="Of the archive; left out where nobody has computed it.")
    digest_from: Text | None = Field(None, description="Where the digest is known from.", examples=["the index"])
    why: Text = Field(description="What it is for.", examples=["leads students to the site's edge"])
    tried: Text = Field(description="What of it was run or rendered, and what was not.", examples=["rendered only"])
    namespace: Site | None = Field(
        None, description="Where `fedctl sites prepare` puts it; none: that does not install it.", examples=["traefik"]
    )
    privileged: Flag = Field(
        False, description="Whether its pods reach into their nodes, which the namespace must allow."
    )
    after: tuple[Site, ...] = Field((), description="Charts that have to be there before it.")
    kubernetes: Kubernetes | None = Field(
        None,
        description="The oldest that its makers support, where the chart itself does not say it.",
        examples=["1.31"],
    )
    ready_when: tuple[ReadyWhen, ...] = Field((), description="Beside its own workloads.")
    values: JsonObject = Field({}, description="Our values for it.")

    @property
    def archive(self) -> str:
        """The name of its file."""
        return f"{self.name}-{self.version}{ARCHIVE}"

    @model_validator(mode="after")
    def _says_where_the_digest_is_from(self) -> Self:
        if (self.digest is None) != (self.digest_from is None):
            has, lacks = ("digest", "digest_from") if self.digest else ("digest_from", "digest")
            raise refuse(f"{has} without {lacks}", "both, or neither", "leave both out", has)
        return self


class UpstreamSpec(Model):
    charts: tuple[PinnedChart, ...] = Field(description="Those that others need come first.", min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        names = [chart.name for chart in self.charts]
        problems = []
        for index, chart in enumerate(self.charts):
            if chart.name in names[:index]:
                problems.append(
                    Problem(f"{chart.name} is there twice", "each once", names[0], ("charts", index, "name"))
                )
            for number, before in enumerate(chart.after):
                if before not in names[:index]:
                    wrong, allowed = f"{before} is not before {chart.name}", "a chart that is further up"
                    place = ("charts", index, "after", number)
                    problems.append(Problem(wrong, allowed, names[0], place))
        if problems:
            raise refuse_all(problems)
        return self


class UpstreamCharts(Model):
    """The file."""

    apiVersion: str = Field(description="Version of this format.", examples=["hubfed/v1"], pattern=r"^hubfed/v1$")  # noqa: N815
    kind: str = Field(description="Kind of the document.", examples=["UpstreamCharts"], pattern=r"^UpstreamCharts$")
    spec: UpstreamSpec = Field(description="The charts.")

    @property
    def charts(self) -> tuple[PinnedChart, ...]:
        return self.spec.charts

    def named(self, name: str) -> PinnedChart | None:
        """None if the list has none of the name."""
        return next((chart for chart in self.charts if chart.name == name), None)


def version_key(version: str) -> tuple[int, int, int, bool]:
    """To compare versions of one chart: a release is newer than what came before it. Of a word that is no version: the
    oldest."""
    found = VERSION.fullmatch(version)
    if found is None:
        return (0, 0, 0, False)
    return (int(found[1]), int(found[2]), int(found[3]), found[4] is None)
