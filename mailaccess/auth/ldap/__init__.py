"""
Users from an LDAP directory.

    options.py      where the directory is, and how people are found in it
    connection.py   everything that touches sockets, TLS and C{ldap3}
    upstream.py     several servers for one directory: failover, circuit breaker, search connections
    escape.py       names into filters and DNs, by escaping only
    results.py      what the answer to a bind means
    entry.py        what an entry says of a person: name, home, fields, account states
    lookup.py       one login, in a thread: find, bind, groups
    directory.py    L{LDAPChecker<mailaccess.auth.ldap.directory.LDAPChecker>}, on the reactor
    doctor.py       the same steps one by one, for the administrator
"""
