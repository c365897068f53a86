"""`k8s deploy`: writes flows to Argo Workflows, with every pod configured.

It may import plan and the rooms below.
"""
