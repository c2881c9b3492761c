"""How a kind of site does things: cluster, hub, homes, edge. `base` has the interfaces, one module per implementation."""
