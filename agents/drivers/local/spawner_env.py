"""How the agent names the hub's file to the hub process. Apart, so that the agent never imports JupyterHub."""

HUB_FILE = "HUBFED_HUB_FILE"
