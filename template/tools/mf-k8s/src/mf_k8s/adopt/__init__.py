"""`k8s adopt`: turns existing flows into flows of BaseFlow, and compares their pods.

It may import the rooms from plan downwards.
"""
