"""`k8s plan`: shows what a change does to each pod."""
