"""`k8s plan`: shows what a change does to each pod.

It may import check and the rooms below.
"""
