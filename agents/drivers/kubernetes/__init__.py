"""What the drivers of sites with a Kubernetes cluster are made of."""
