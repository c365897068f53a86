"""`k8s check`: compares every pod of a flow with k8s.toml, compiled or on a cluster.

It may import cluster and the rooms below.
"""
