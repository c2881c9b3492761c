"""A whole federation on one machine: `fedctl up`, `fedctl down`, and what keeps it running in between."""
