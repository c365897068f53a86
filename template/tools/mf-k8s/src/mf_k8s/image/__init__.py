"""`k8s image`: builds and pushes the image of the pods."""
