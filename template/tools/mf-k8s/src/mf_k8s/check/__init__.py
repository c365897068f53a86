"""`k8s check`: compares every pod of a flow with k8s.toml."""
