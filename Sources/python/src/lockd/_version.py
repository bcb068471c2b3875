"""The version of this library, told to the daemon in HELLO."""

__version__ = "0.1.0"
