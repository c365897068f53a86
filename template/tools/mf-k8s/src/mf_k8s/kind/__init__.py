"""`k8s kind`: a cluster on this machine, and a test of every flow on it."""
