"""HRM-Text and its decoding loop: knows tokens, not HTTP, not documents."""
