"""`k8s deploy`: writes flows to Argo Workflows, with every pod configured."""
