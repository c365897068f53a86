"""Says whether every pod of every flow will run on a cluster, and what to do if not.

A rule is a file in rules/. It may import plan, check, cluster and the rooms below them.
"""
