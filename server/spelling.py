"""How ids and names are spelled, for whoever gives them out, checks them, and tells them from somebody's words."""

import re
import secrets

STORE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")  # its slug, or its id
KEY = re.compile(r"key_[0-9a-f]{12}")
# A client's own id is kept when it can do no harm in a log, and tells of nobody as far as one can see.
REQUEST = re.compile(r"[A-Za-z0-9._-]{1,64}")


def new_key_id() -> str:
    """The id of a new API key."""
    return f"key_{secrets.token_hex(6)}"
