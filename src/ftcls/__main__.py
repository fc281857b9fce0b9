"""``python -m ftcls`` is the ``ftcls`` command."""

from ftcls.cli.app import main

if __name__ == "__main__":
    main()
