"""What both daemons and fedctl stand on: clock, supervisor, loops, deadlines, TLS, gRPC options, processes, logging."""
