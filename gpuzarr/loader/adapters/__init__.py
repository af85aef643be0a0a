"""A loader as other libraries take data: each is imported by the module of its name, when it is first used."""
