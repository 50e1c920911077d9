"""The command line: a face that parses, asks and shows. Each command stands in a module of its name and adds itself with `register`.

`context` is the world a command runs in, `output` the only writer of stdout and stderr. No module here loads an SDK or Textual.
"""
