"""What one coordinator sees of a class from where it is: an outside view, beside what the class's own site says."""

from __future__ import annotations

from federation.model.schema import Document


class Outlook(Document):
    """Key `outlook/<uid>/<coordinator>`, on change only; it vanishes when the coordinator falls silent. `place`: the
    failure domain at which it looks, never the owner's. `problem`: why the class is not seen; empty: it is."""

    coordinator: str
    place: str
    hub: str
    site: str  # whose edge it found, or should have
    problem: str = ""
