"""The units that `envkiln service install` writes: files, not code."""

if __name__ == "systemd":
    raise ImportError("envkiln.systemd has units; the bindings of libsystemd are another project's")
