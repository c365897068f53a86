"""`k8s render`: writes what `k8s deploy` would write, as files for GitOps."""
