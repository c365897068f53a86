"""The commands of `k8s`, a file each: options, help, questions and exit codes.

What a command does is in the rooms below, all of which these files may import.
"""
