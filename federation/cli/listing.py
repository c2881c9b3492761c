"""All classrooms, page after page: one message does not hold a university's."""

from __future__ import annotations

from federation.api.v1 import control_pb2, types_pb2
from federation.cli.client import CALL_S, Client


def all_hubs(
    client: Client, request: control_pb2.ListRequest, *, timeout_s: float = CALL_S
) -> tuple[list[types_pb2.Hub], control_pb2.Freshness]:
    """Every classroom that the request asks for, sorted by name, and how old the oldest page is."""
    asked = control_pb2.ListRequest()
    asked.CopyFrom(request)
    hubs: list[types_pb2.Hub] = []
    oldest = control_pb2.Freshness()
    while True:
        page = client.call("List", asked, timeout_s=timeout_s)
        hubs.extend(page.items)
        if page.freshness.age_s >= oldest.age_s:
            oldest = page.freshness
        if not page.next_page_token:
            return hubs, oldest
        asked.page_token = page.next_page_token
