"""What charts are given for a classroom, the upstream JupyterHub chart and our own `classroom`: tables of rows, field by
field."""
