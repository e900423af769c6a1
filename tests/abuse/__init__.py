"""What a hostile or broken client sends: nothing of it may be the server's fault."""
