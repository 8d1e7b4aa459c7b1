"""
Programs to compare with, run as C{python -m benchmarks.peers.NAME}. Each prints the port it
listens on.
"""
