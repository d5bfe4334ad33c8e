"""Run the command line with `python -m latchpin`.

The same commands as the installed `latchpin` script, which may not be on the
PATH of a service manager.
"""

from latchpin.cli import main

if __name__ == "__main__":
    main()
