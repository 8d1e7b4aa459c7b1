"""
Mail from elsewhere, copied into an account: from mbox files, and from another IMAP server.

What was copied is noted as it is made durable, so an import that ended early goes on where it was,
and one that is run again brings what has come since.
"""
