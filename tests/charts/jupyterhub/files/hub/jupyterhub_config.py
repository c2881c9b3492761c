"""The file that the hub runs. Everything is in the modules beside it, but for the lines that a class brings itself."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import hub_options
import server_options
import z2jh

c = get_config()  # type: ignore[name-defined]  # noqa: F821 - whoever loads this file brings it
hub_options.apply(c)
server_options.apply(c)
hub_options.apply_given(c)
for _name, _text in sorted((z2jh.get_config("hub.extraConfig") or {}).items()):
    exec(compile(_text, _name, "exec"))
