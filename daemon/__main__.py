"""`python -m envkiln.daemon` is `envkiln`."""

from envkiln.daemon.entry import main

if __name__ == "__main__":
    raise SystemExit(main())
