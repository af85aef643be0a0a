"""The host side of the codecs: what several of them share, and the libraries that decode."""
