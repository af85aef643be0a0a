"""The CPU side of codecs: the libraries that decode and encode, and functions that several codecs share."""
