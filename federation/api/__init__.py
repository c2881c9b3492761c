"""Generated code of the wire; made by scripts/proto, never edited."""
