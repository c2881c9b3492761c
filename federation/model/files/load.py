"""Reads classroom, site and federation files: every error of every file at once, each with its place.

Pure: files come as (name, bytes). A classroom's `roster.users_file` is asked for through a callback, because only the
caller knows the folder. The same file read twice gives equal models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from federation.model.classroom import Classroom, ClassroomFile
from federation.model.federation_file import FederationFile
from federation.model.files.explain import explain
from federation.model.files.finding import Checked, Finding, Located, finding_at
from federation.model.files.partly import problems_despite_errors
from federation.model.files.roster_file import read_roster
from federation.model.files.twice import Shared
from federation.model.files.yaml_tree import KEY, Tree, read_trees
from federation.model.refusal import Place, Problem
from federation.model.site_file import SiteFile
from federation.model.upstream_charts import UpstreamCharts

Files = Sequence[tuple[str, bytes]]
ReadFile = Callable[[str], bytes]  # path, joined to the folder of the file that names it -> content; raises OSError
M = TypeVar("M", bound=BaseModel)
API_VERSION = "hubfed/v1"
KINDS = ("Classroom", "Site", "Federation", "UpstreamCharts")
USERS_FILE: Place = ("spec", "roster", "users_file")


def read_classrooms(files: Files, read_file: ReadFile | None = None) -> Checked[Classroom]:
    """Every classroom of every file. Two documents with one name or one host name are refused, also in different files.

    `read_file` gives the content of a `roster.users_file`; without it, a file that names one is refused.
    """
    documents: list[Located[Classroom]] = []
    findings: list[Finding] = []
    shared = Shared()
    for file, content in files:
        trees, unreadable = read_trees(file, content)
        findings += unreadable
        for tree in trees:
            found, wrong = _classroom(file, tree, read_file)
            findings += wrong
            twice = _located(file, tree, shared.problems(file, tree))
            findings += twice
            if found is not None and not wrong and not twice:
                documents.append(found)
    return Checked(tuple(documents), tuple(findings))


def read_site(file: str, content: bytes) -> Checked[SiteFile]:
    """One site file: exactly one document."""
    return _single(file, content, SiteFile, "Site")


def read_federation(file: str, content: bytes) -> Checked[FederationFile]:
    """One federation file: exactly one document."""
    return _single(file, content, FederationFile, "Federation")


def read_upstream(file: str, content: bytes) -> Checked[UpstreamCharts]:
    """The list of upstream charts: exactly one document."""
    return _single(file, content, UpstreamCharts, "UpstreamCharts")


def kind_in(file: str, content: bytes) -> str:
    """The kind of the first document, for whoever reads files of any kind; empty if it does not say, or not legibly."""
    trees, _unreadable = read_trees(file, content)
    data = trees[0].data if trees else None
    found = data.get("kind") if isinstance(data, dict) else None
    return found if isinstance(found, str) else ""


def _single(file: str, content: bytes, model: type[M], kind: str) -> Checked[M]:
    trees, unreadable = read_trees(file, content)
    if unreadable:
        return Checked((), unreadable)
    if len(trees) > 1:
        problem = Problem(f"{len(trees)} documents", "one document in a file of this kind", f"kind: {kind}")
        return Checked((), (finding_at(file, trees[1].positions, problem),))
    found, findings = _document(file, trees[0], model, kind)
    documents = (Located(found, file, trees[0].positions),) if found is not None and not findings else ()
    return Checked(documents, findings)


def _document(file: str, tree: Tree, model: type[M], kind: str) -> tuple[M | None, tuple[Finding, ...]]:
    """Dispatch on `kind`, validate, explain."""
    if not tree.positions:  # it could not be walked, and its one finding says why
        return None, tree.findings
    wrong = _wrong_kind(tree.data, kind)
    if wrong:
        return None, (*tree.findings, *_located(file, tree, wrong))
    try:
        return model.model_validate(tree.data), tree.findings
    except ValidationError as error:
        problems = explain(error, model, tree.texts)
        rules = _rules_that_still_apply(tree.data, model, problems)
        return None, (*tree.findings, *_located(file, tree, [*problems, *rules]))


def _wrong_kind(data: Any, kind: str) -> list[Problem]:
    if not isinstance(data, dict):
        what = "a list" if isinstance(data, list) else "a single value"
        return [Problem(f"the document is {what}", "a document of `key: value` lines", f"apiVersion: {API_VERSION}")]
    if not data.keys() & {"apiVersion", "kind", "metadata", "spec"}:
        wrong = "neither apiVersion nor kind: this is another program's file (values of a chart?)"
        return [Problem(wrong, "apiVersion, kind, metadata, spec", f"apiVersion: {API_VERSION}")]
    found = data.get("kind")
    if found == kind or not isinstance(found, str):
        return []  # a missing or mistyped kind is explained like any other field
    other = " (another verb reads it)" if found in KINDS else ""
    return [Problem(f"kind {found} where {kind} is wanted{other}", f"kind: {kind}", f"kind: {kind}", ("kind",))]


def _rules_that_still_apply(data: dict[str, Any], model: type[BaseModel], told: Sequence[Problem]) -> list[Problem]:
    """Rules for the parts that are right: pydantic checks them only when all are."""
    spec = data.get("spec")
    if model is not ClassroomFile or not isinstance(spec, dict):
        return []
    known = {(problem.at, problem.wrong) for problem in told}
    rules = (problem.below("spec") for problem in problems_despite_errors(spec))
    return [problem for problem in rules if (problem.at, problem.wrong) not in known]


def _classroom(
    file: str, tree: Tree, read_file: ReadFile | None
) -> tuple[Located[Classroom] | None, tuple[Finding, ...]]:
    tree, in_roster = _with_users(file, tree, read_file)
    found, findings = _document(file, tree, ClassroomFile, "Classroom")
    findings = (*findings, *in_roster)
    if found is None or findings:
        return None, findings
    return Located(found.classroom(), file, tree.positions, found.metadata.generation or 0), ()


def _with_users(file: str, tree: Tree, read_file: ReadFile | None) -> tuple[Tree, tuple[Finding, ...]]:
    """The tree with `users_file` replaced by the users in it, so that a list in a file and one in place are equal."""
    try:
        roster = tree.data["spec"]["roster"]
        name = roster["users_file"]
    except (KeyError, TypeError):
        return tree, ()
    if not isinstance(roster, dict) or not isinstance(name, str) or not name:
        return tree, ()  # explained like any other field
    if read_file is None:
        problem = Problem(
            "the file cannot be read here", "users in the document itself", "users: [s01, s02]", USERS_FILE
        )
        return tree, _located(file, tree, [problem])
    path = str(PurePath(file).parent / name)
    try:
        content = read_file(path)
    except (OSError, ValueError) as error:  # ValueError: a name that no system has
        wrong = f"{path} cannot be read: {getattr(error, 'strerror', None) or 'no such name'}"
        return tree, _located(file, tree, [Problem(wrong, "a file beside this one", "roster.csv", USERS_FILE)])
    users, findings = read_roster(path, content)
    listed = roster.get("users", [])
    if isinstance(listed, list):
        # names that were found wrong in their own file are not reported a second time as a part of this one
        good = () if findings else users
        rest = [user for user in good if user not in {str(one).lower() for one in listed}]
        merged = {key: value for key, value in roster.items() if key != "users_file"} | {"users": [*listed, *rest]}
        spec = {**tree.data["spec"], "roster": merged}
        tree = Tree({**tree.data, "spec": spec}, tree.positions, tree.findings, tree.texts)
    return tree, findings


def _located(file: str, tree: Tree, problems: Sequence[Problem]) -> tuple[Finding, ...]:
    """Sorted by position. An unknown key is shown where the key stands, everything else where the value does."""
    found = []
    for problem in problems:
        key = (*problem.at, KEY)
        if problem.wrong.startswith("unknown key") and key in tree.positions:
            moved = {**tree.positions, problem.at: tree.positions[key]}
            found.append(finding_at(file, moved, problem))
        else:
            found.append(finding_at(file, tree.positions, problem))
    return tuple(sorted(found, key=lambda finding: (finding.line, finding.column)))
