"""`k8s test`: runs what CI runs."""
