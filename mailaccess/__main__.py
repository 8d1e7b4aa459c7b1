"""
C{python -m mailaccess}: the same as the command C{mailaccess}.
"""

import sys

from mailaccess.cli import main

if __name__ == "__main__":
    sys.exit(main())
