"""Functions on the manifests of pods and workflows, without I/O: read, expect, compare.

It may import project, for the types and the merge of k8s.toml.
"""
