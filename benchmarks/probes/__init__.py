"""Small programs that ask a GPU what no document answers. See README.md beside this file."""
