"""What simulated meters share: a household, a line that talks by itself, a responder that is asked."""
