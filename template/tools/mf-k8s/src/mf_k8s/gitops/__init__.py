"""`k8s render`: writes what `k8s deploy` would write, as files for GitOps.

It may import kind, whose cluster is an environment too, and the rooms below.
"""
