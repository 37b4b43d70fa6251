"""``python -m imeasure_server``: the same as the command ``imeasure-server``."""

from imeasure_server.cli import main

if __name__ == "__main__":
    main()
