"""One module per verb: its docstring is the help, `configure` adds arguments, `run` does it and returns the exit code."""
