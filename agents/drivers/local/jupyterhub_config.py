"""The file that `jupyterhub -f` runs. Everything is in `hub_settings`."""

from traitlets.config import get_config

from agents.drivers.local.hub_settings import apply
from agents.drivers.local.spawner import hub_file_path

apply(get_config(), hub_file_path())
