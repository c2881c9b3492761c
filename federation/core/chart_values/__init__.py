"""What the upstream JupyterHub chart is given for a classroom: one table of rows, field by field."""
