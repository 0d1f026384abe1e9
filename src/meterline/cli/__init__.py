"""The command line: `main`, the parser, and a file for each command. Each imports what it needs, so that `run` stays light."""
