"""Parts of the `local` site kind: a hub is a real JupyterHub on this machine, with real student servers."""
