"""How a bare cluster is brought to the state that hubs need: pure decisions."""
