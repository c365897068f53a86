"""`k8s kind`: a cluster on this machine, and a test of every flow on it.

It may import deploy and image, and the rooms below.
"""
