"""All that talks to a Kubernetes API: which cluster, the rights on it, reading and writing.

It may import metaflow and the rooms below.
"""
