"""What to look at where a meter does not speak: one file a subject. Each check gives findings, and prints nothing."""
