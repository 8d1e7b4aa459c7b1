"""
The control socket: how administrators of the machine speak to the running server.

    question    one line, a JSON object: {"ask": "kick", "user": "amy"}
    answers     lines, a JSON object each: {"item": {...}}
    the end     one line: {"done": 3}, or {"error": "what is wrong; what to do"}

One question a connection. C{place} is where the socket is, C{talk} the protocol, C{questions} what
can be asked, C{service} its life in the server, C{asking} the other end. Who may ask is for the
permissions of the socket to say; who did is in the log.
"""
