"""What keeps the images true to the files: watch, decide, build, serve."""

if __name__ == "daemon":
    raise ImportError("import envkiln.daemon, not daemon")
