"""What the product talks about: validated, immutable values. No I/O, no clock."""
