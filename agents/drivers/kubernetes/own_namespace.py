"""The namespace of a site's own pods: nothing is written into one that somebody else has made."""

from __future__ import annotations

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.marks import EDGE, edge_namespace
from federation.model.errors import DriverError


async def check_own_namespace(api: Api) -> bool:
    """Whether it is there. DriverError if one of its name is, and is not this site's."""
    namespace = edge_namespace(api.site)
    found = await api.get(paths.namespace(namespace))
    if found is not None and (found["metadata"].get("labels") or {}).get(EDGE) != api.site:
        wrong = f"the namespace {namespace} is in the cluster already, and is not this site's"
        raise DriverError(wrong, delay_s=60.0, help="Delete it if nobody needs it: nothing in it was touched.")
    return found is not None
