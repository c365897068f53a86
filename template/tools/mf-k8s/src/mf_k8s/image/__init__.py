"""`k8s image`: builds and pushes the image of the pods.

It may import the rooms from project downwards.
"""
