"""`k8s drift`: what a project's files say of what organisation.json says, and taking it out.

It may import the rooms project and show.
"""
