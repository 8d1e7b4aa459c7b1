"""
Figures, each with the floor or a peer beside it in the same run: C{python -m benchmarks}.

Machines differ and are busy at times, so a figure alone says little. What is compared takes turns
(A B A B), each side several times, and the medians are set against one another. Servers are
processes of their own; the client is written to cost as little as it can, and where it is still
what holds both sides up, the processor time of the servers per operation tells them apart.

    L{figures}    what is measured, and how it is printed
    L{process}    servers as processes: their ports, time and memory
    L{ours}       our server, as C{twist mailaccess --config FILE}
    L{dovecot}    Debian's Dovecot, as somebody who knows it would set it up for this
    L{load}       the client: many connections, few instructions
    L{mail}       a mailbox that is the same on every machine
    L{peers}      programs that are run beside ours

The other modules are one benchmark each, with C{run(plan) -> Iterator[Figure]}.
"""
