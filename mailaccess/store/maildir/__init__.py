"""
Mail in Maildir++ directories, with a SQLite record beside them.
"""
