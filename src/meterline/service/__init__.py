"""The program at work: `supervisor` reads the links and opens them again, `detect` tells what speaks there."""
