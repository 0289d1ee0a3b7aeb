"""The version, where everything below the package's own names can read it."""

__version__ = "0.2.0"
