"""What runs as a student: JupyterHub's single-user server, started without what only costs time.

jsonschema takes rfc3987_syntax if it is there, and that builds a grammar at each import: half of the whole start, in
every server of a class that begins at the bell. It would check IRIs; a student's server has none to check.
"""

from __future__ import annotations

import sys


def main() -> None:
    """As `python -m jupyterhub.singleuser`."""
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment] # for jsonschema it is not installed
    from jupyterhub.singleuser import main as serve  # noqa: PLC0415 - only after the line above

    serve()


if __name__ == "__main__":
    main()
