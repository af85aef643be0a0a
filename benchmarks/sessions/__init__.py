"""A session on a machine with a GPU: its steps, the tests on `cuda`, and all that was found as one document."""
