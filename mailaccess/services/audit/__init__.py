"""
Who still logs in in the clear, and who would be cut off: what the policy decides, kept.

    Recorder    a witness of every login (L{mailaccess.policy.attempt.Witness}): log, counters, and
                what is to be kept, gathered in memory
    Keeper      the thread that writes it down
    Database    the SQLite file, for servers that write and for commands that read
    Shadow      a second policy, asked of every login beside the one that counts
    Ratchet     who has used TLS for so long that a password in the clear is refused from now on

Everything that blocks is done in the keeper's thread; no login waits for any of it.
"""
