"""The live page: its routes and stream, what it knows of a meter, and its parts as HTML."""
