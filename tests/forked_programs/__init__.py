"""Starts the programs of the tests as forks of servers, which halves the CPU time: start.py."""
