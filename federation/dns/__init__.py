"""Name drivers: where a class's name leads. Only the leading coordinator writes names (DESIGN.md 4.6)."""
