"""A file a question: `python -m benchmarks.questions.NAME --help` says what each can be told."""
