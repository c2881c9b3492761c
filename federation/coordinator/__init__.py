"""The daemon that decides: one file per loop (read snapshot, call core, guarded write), gRPC services, agent sessions."""
