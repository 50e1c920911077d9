"""One screen a file, each with its styles beside it: compose, bindings with id and tooltip, handlers."""
