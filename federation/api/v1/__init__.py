"""Version 1 of the wire: messages and stubs generated from proto/federation/api/v1."""
