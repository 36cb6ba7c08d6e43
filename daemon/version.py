"""The version, without a look at the installed metadata: `envkiln status` has no time for that."""

VERSION = "0.1.0"

API = 1
"""`messages.API_VERSION`, without importing all messages."""

WRITTEN_BY = "version"
"""The document of the index that says which version wrote it last."""
