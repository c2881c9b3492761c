"""Pure decisions: no I/O, clock, randomness, logging or async. Everything here can be replayed."""
