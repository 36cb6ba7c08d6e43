"""The version, without a look at the installed metadata: `envkiln status` has no time for that."""

VERSION = "0.1.0"
