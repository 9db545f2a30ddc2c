"""``python -m presage.cli``, where the script ``presage`` is not on the path."""

from presage.cli.main import main

if __name__ == "__main__":
    main()
