"""Files of an admin: text with positions in, checked models and located findings out. No I/O: callers bring bytes."""
