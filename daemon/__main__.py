"""`python -m envkiln.daemon` is `envkiln`."""

from envkiln.daemon.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
