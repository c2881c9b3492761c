"""Documents as YAML that our own reader, and YAML 1.2, read back as they were."""

from __future__ import annotations

from typing import Any

import yaml

from federation.model.files.yaml_tree import is_plain_text


class _Dumper(yaml.SafeDumper):
    """Quotes what only YAML 1.1 takes for text, such as the image tag 1234e56."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None if is_plain_text(value) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def yaml_text(body: Any) -> str:
    """Block style, keys in their order."""
    return yaml.dump(body, Dumper=_Dumper, sort_keys=False, allow_unicode=True).rstrip()
