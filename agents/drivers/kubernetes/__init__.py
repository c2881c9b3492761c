"""Sites of kind `kubernetes`: hubs are Helm releases of the JupyterHub chart. Imported by such sites alone."""
