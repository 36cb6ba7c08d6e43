"""What an environment is called, and what is known of its image."""

if __name__ == "cache":
    raise ImportError("import envkiln.cache, not cache")
