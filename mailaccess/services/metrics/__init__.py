"""
Numbers of a running server, for Prometheus and whatever else reads its text format.

Labels are words of the configuration and of the program, never what a client sent: so there are as
many series as there are listeners and mechanisms, and no more.
"""
