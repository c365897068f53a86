"""Runs docker, kind, kubectl, git and uv, and says why one of them failed.

It imports errors alone.
"""
