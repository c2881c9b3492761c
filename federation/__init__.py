"""hubfed: places classroom JupyterHubs on several sites and keeps exactly one copy of each."""

__version__ = "0.1.0"
